//! Where slots go when servers come and go: evenly, and no move more than needed.

use dlm_core::cluster::limits::MOVES_MAX;
use dlm_core::cluster::{
    ClusterState, Command, Master, Origin, Reply, Role, ServerStarted, Versions, invariants,
};
use dlm_core::{LogIndex, ServerId};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cases;
use crate::steps::{endpoint, moves, serving};

/// Servers only: some come, some go, some leave.
#[derive(Clone, Copy, Debug)]
enum Change {
    Start(u64),
    Lose(u64),
    Leave(u64),
    Return(u64),
    Settle,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (1_u64..8).prop_map(Change::Start),
        2 => (1_u64..8).prop_map(Change::Lose),
        1 => (1_u64..8).prop_map(Change::Leave),
        1 => (1_u64..8).prop_map(Change::Return),
        2 => Just(Change::Settle),
    ]
}

struct Servers {
    state: ClusterState,
    at: u64,
}

impl Servers {
    fn apply(&mut self, command: Command) -> Reply {
        self.at += 1;
        self.state
            .apply(LogIndex(self.at), command, &mut Vec::new())
    }

    fn role(&mut self, server: u64, role: Role) {
        let server = ServerId(server);
        let peer_endpoint = endpoint(server);
        self.apply(Command::ServerAdded {
            server,
            peer_endpoint,
            role,
        });
    }

    /// One that leaves is removed, and added again.
    fn comes_back(&mut self, server: u64) {
        if self.state.servers()[&ServerId(server)].role == Role::Leaving {
            let removed = ServerId(server);
            self.apply(Command::ServerRemoved { server: removed });
            self.role(server, Role::Voter);
        }
    }

    fn start(&mut self, server: u64) {
        let nonce = u128::from(self.at);
        let server = ServerId(server);
        self.apply(Command::ServerStarted(ServerStarted {
            server,
            nonce,
            endpoint: endpoint(server),
            peer_endpoint: endpoint(server),
            versions: Versions { min: 1, max: 1 },
        }));
    }

    /// Every master of the state has what it needs; then what is due moves; until nothing is. Says how
    /// many slots moved.
    fn settle(&mut self) -> Result<usize, TestCaseError> {
        let mut moved = 0;
        loop {
            for command in serving(&self.state, 1) {
                self.apply(command);
            }
            let due = moves(&self.state);
            if due.is_empty() {
                return Ok(moved);
            }
            prop_assert!(due.len() <= MOVES_MAX && moved <= 512, "it comes to an end");
            moved += due.len();
            for command in due {
                prop_assert_eq!(self.apply(command), Reply::Done);
            }
        }
    }

    /// The running servers that stay, or all that run where none stays, and how many slots each has.
    fn counts(&self) -> Vec<usize> {
        let stays = |one: &Master| self.state.servers()[&one.server].role != Role::Leaving;
        let mut takers: Vec<Master> = self.state.running().filter(stays).collect();
        if takers.is_empty() {
            takers = self.state.running().collect();
        }
        takers.into_iter().map(|taker| self.count(taker)).collect()
    }

    fn count(&self, master: Master) -> usize {
        let slots = self.state.slots();
        let its = slots.filter(|(_, slot)| slot.master == Some(master));
        its.count()
    }

    /// How many moves evenness and the servers that leave need at least.
    fn moves_least(&self) -> usize {
        let mut counts = self.counts();
        if counts.is_empty() {
            return 0;
        }
        counts.sort_unstable_by_key(|&count| std::cmp::Reverse(count));
        let (each, more) = (256 / counts.len(), 256 % counts.len());
        let should = |place: usize| each + usize::from(place < more);
        let missing = counts.iter().enumerate();
        missing
            .map(|(place, &has)| should(place).saturating_sub(has))
            .sum()
    }
}

fn come_and_go(changes: &[Change]) -> Result<(), TestCaseError> {
    let mut servers = Servers {
        state: ClusterState::new(),
        at: 0,
    };
    for server in 1..8 {
        servers.role(server, Role::Voter);
    }
    for &change in changes {
        let before = servers.state.clone();
        match change {
            Change::Start(server) => servers.start(server),
            Change::Leave(server) => servers.role(server, Role::Leaving),
            Change::Return(server) => servers.comes_back(server),
            Change::Lose(server) => {
                let process = before.servers()[&ServerId(server)].process();
                let Some(incarnation) = process.map(|process| process.incarnation) else {
                    continue;
                };
                servers.apply(Command::ServerLost { incarnation });
                for (id, slot) in before.slots() {
                    let had = slot
                        .master
                        .is_some_and(|one| one.incarnation == incarnation);
                    let from = matches!(slot.origin, Origin::Planned { from }
                        if from.incarnation == incarnation && !slot.serving);
                    let moved = servers.state.slot(id) != slot;
                    prop_assert_eq!(moved, had || from, "slot {}", id);
                }
                let least = servers.counts().into_iter().min().unwrap_or(0);
                for master in servers.state.running() {
                    let has = servers.count(master);
                    let had = before
                        .slots()
                        .filter(|(_, slot)| slot.master == Some(master));
                    let gained = has > had.count();
                    prop_assert!(!gained || has <= least + 1, "{:?} got too many", master);
                }
            }
            Change::Settle => {
                for command in serving(&servers.state, 1) {
                    servers.apply(command);
                }
                let least = servers.moves_least();
                prop_assert_eq!(servers.settle()?, least, "no move that is not needed");
                let counts = servers.counts();
                let (min, max) = (counts.iter().min(), counts.iter().max());
                prop_assert!(
                    min.zip(max).is_none_or(|(min, max)| max - min <= 1),
                    "{counts:?}"
                );
                prop_assert_eq!(
                    counts.iter().sum::<usize>(),
                    if counts.is_empty() { 0 } else { 256 }
                );
            }
        }
        prop_assert_eq!(invariants::check_step(&before, &servers.state), Ok(()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn slots_are_shared_evenly_and_move_no_more_than_they_must(
        changes in vec(change(), 1..40)
    ) {
        come_and_go(&changes)?;
    }
}
