//! Three servers with empty disks, in every order of what can happen to them: they introduce themselves,
//! and the answer is lost or is not, a message comes late, they stop and start again, they make their
//! storages, and one of them loses its disk.
//!
//! `GLOCKWORK_LONG=1` has messages that come late and more restarts in it, and looks at every end. That is
//! a hundred times as many worlds or more: run it with `--release`, and have an hour.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use super::*;

const ALL: [usize; 3] = [0, 1, 2];

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Process {
    /// It has no storage yet.
    New(Founder),
    /// It ended, and said this.
    Stopped(String),
    /// A server of its cluster, with the members that it knows of.
    Member(ClusterId, BTreeMap<ServerId, ServerIdentity>),
}

/// A message: an introduction, or the answer to one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Message {
    from: usize,
    to: usize,
    said: Introduction,
    answer: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    identities: [ServerIdentity; 3],
    processes: [Process; 3],
    /// A message that comes late.
    late: Option<Message>,
    /// How many more may.
    lates: u8,
    /// How often the last server's disk may still be wiped. Which server it is makes no difference.
    wipes: u8,
    /// How often a process may still start again.
    restarts: u8,
    /// All clusters that a storage was made for, and their first members.
    made: BTreeMap<ClusterId, BTreeMap<ServerId, ServerIdentity>>,
    /// Those of them that a majority had storages for, at one time.
    worked: BTreeSet<ClusterId>,
}

fn id(at: usize) -> ServerId {
    ServerId(at as u64 + 1)
}

impl World {
    fn new() -> Self {
        let identities = ALL.map(|at| ServerIdentity(at as u128 + 10));
        let processes = ALL.map(|at| start(at, identities[at]));
        Self {
            identities,
            processes,
            late: None,
            lates: 0,
            wipes: 0,
            restarts: 0,
            made: BTreeMap::new(),
            worked: BTreeSet::new(),
        }
    }

    /// Every world that this one can become by one event.
    fn next(&self) -> Vec<Self> {
        let mut worlds = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut world = self.clone();
            change(&mut world);
            worlds.push(world);
        };
        for at in ALL {
            match &self.processes[at] {
                Process::New(founder) => {
                    for to in ALL.into_iter().filter(|&to| to != at) {
                        add(&|world| world.exchange(at, to));
                        add(&|world| drop(world.ask(at, to)));
                        if self.lates > 0 && self.late.is_none() {
                            add(&|world| world.late = world.request(at, to));
                            add(&|world| world.late = world.ask(at, to));
                        }
                    }
                    if !matches!(founder.decide(), Ok(Decision::Wait(_))) {
                        add(&|world| world.act(at));
                    }
                    if self.restarts > 0 {
                        add(&|world| world.restart(at));
                    }
                }
                Process::Stopped(_) if self.restarts > 0 => add(&|world| world.restart(at)),
                Process::Stopped(_) => {}
                Process::Member(_, members) if members.is_empty() => {
                    add(&|world| world.learn(at));
                }
                Process::Member(..) => {}
            }
        }
        if self.late.is_some() {
            add(&|world| {
                world.lates -= 1;
                let late = world.late.take();
                drop(late.and_then(|late| world.arrive(late)));
            });
        }
        if self.wipes > 0 {
            add(&|world| world.wipe());
        }
        worlds
    }

    /// One introduces itself to another, and is answered.
    fn exchange(&mut self, from: usize, to: usize) {
        if let Some(answer) = self.ask(from, to) {
            self.arrive(answer);
        }
    }

    /// The other hears it; its answer, on the way.
    fn ask(&mut self, from: usize, to: usize) -> Option<Message> {
        let request = self.request(from, to)?;
        self.arrive(request)
    }

    fn request(&self, from: usize, to: usize) -> Option<Message> {
        let Process::New(founder) = &self.processes[from] else {
            return None;
        };
        let said = founder.introduction();
        let answer = false;
        Some(Message {
            from,
            to,
            said,
            answer,
        })
    }

    /// What is answered to it, where it is not an answer.
    fn arrive(&mut self, message: Message) -> Option<Message> {
        let Message {
            from,
            to,
            said,
            answer,
        } = message;
        let asked_by = (said.server, said.identity);
        if let Process::New(founder) = &mut self.processes[to]
            && let Err(error) = founder.hear(answer.then(|| id(from)), said)
        {
            self.processes[to] = Process::Stopped(error.to_string());
        }
        if answer {
            return None;
        }
        let said = match &self.processes[to] {
            Process::New(founder) => founder.introduction(),
            Process::Stopped(_) => return None,
            Process::Member(cluster, known) => {
                let identity = Identity {
                    cluster: *cluster,
                    server: id(to),
                    server_identity: self.identities[to],
                };
                let voter = true;
                let members = known
                    .iter()
                    .map(|(&server, &identity)| (server, Member { identity, voter }));
                Introduction::of_member(identity, &Members::new(members), asked_by)
            }
        };
        Some(Message {
            from: to,
            to: from,
            said,
            answer: true,
        })
    }

    fn act(&mut self, at: usize) {
        let Process::New(founder) = &self.processes[at] else {
            return;
        };
        self.processes[at] = match founder.decide() {
            Ok(Decision::Wait(_)) => return,
            Err(error) => Process::Stopped(error.to_string()),
            Ok(Decision::Create(identity, founding)) => {
                let members: BTreeMap<_, _> = match founding {
                    Founding::Together(members) => members
                        .iter()
                        .map(|(server, member)| (server, member.identity))
                        .collect(),
                    _ => BTreeMap::new(),
                };
                let first = self.made.entry(identity.cluster);
                let first = first.or_insert_with(|| members.clone());
                assert!(members.is_empty() || *first == members);
                Process::Member(identity.cluster, members)
            }
        };
        for (&cluster, first) in &self.made {
            let has = |at: &usize| {
                let member = first.get(&id(*at)) == Some(&self.identities[*at]);
                let made = matches!(self.processes[*at], Process::Member(of, _) if of == cluster);
                member && made
            };
            if ALL.iter().filter(|at| has(at)).count() > first.len() / 2 {
                self.worked.insert(cluster);
            }
        }
    }

    /// A process without a storage forgets what it heard.
    fn restart(&mut self, at: usize) {
        self.restarts = self.restarts.saturating_sub(1);
        if !matches!(self.processes[at], Process::Member(..)) {
            self.begin(at);
        }
    }

    /// What was under way to the process before is lost with its connections; what it said is not.
    fn begin(&mut self, at: usize) {
        self.processes[at] = start(at, self.identities[at]);
        if self.late.as_ref().is_some_and(|late| late.to == at) {
            self.late = None;
            self.lates -= 1;
        }
    }

    /// A server that joined hears from a cluster that works who its members are.
    fn learn(&mut self, at: usize) {
        if let Process::Member(cluster, known) = &mut self.processes[at]
            && self.worked.contains(cluster)
        {
            known.clone_from(&self.made[cluster]);
        }
    }

    fn wipe(&mut self) {
        let at = 2;
        self.wipes -= 1;
        self.identities[at].0 += 100;
        self.begin(at);
    }

    /// What becomes of it when everything arrives, and who stops is started again.
    fn end(mut self) -> Self {
        if let Some(late) = self.late.take() {
            self.arrive(late);
        }
        for _ in 0..4 {
            for at in ALL.into_iter().rev() {
                if matches!(self.processes[at], Process::Stopped(_)) {
                    self.restart(at);
                }
                for to in ALL.into_iter().rev().filter(|&to| to != at) {
                    self.exchange(at, to);
                }
                self.act(at);
                self.learn(at);
            }
        }
        self
    }

    fn cluster(&self, at: usize) -> Option<ClusterId> {
        match self.processes[at] {
            Process::Member(cluster, _) => Some(cluster),
            _ => None,
        }
    }
}

fn start(at: usize, identity: ServerIdentity) -> Process {
    let plan = Plan {
        server: id(at),
        peers: ALL.into_iter().map(id).collect(),
        join: false,
    };
    Process::New(Founder::new(plan, identity).expect("a plan"))
}

/// Looks at every world that can come to be.
fn search(first: World, mut look: impl FnMut(&World)) -> usize {
    let hasher = RandomState::new();
    let mut seen = HashSet::from([hasher.hash_one(&first)]);
    let mut next = vec![first];
    while let Some(world) = next.pop() {
        look(&world);
        let worlds = world.next().into_iter();
        next.extend(worlds.filter(|world| seen.insert(hasher.hash_one(world))));
    }
    seen.len()
}

fn is_long() -> bool {
    std::env::var_os("GLOCKWORK_LONG").is_some_and(|value| value == "1")
}

/// How many worlds there are for each whose end is looked at: an end takes many steps, and worlds that
/// are one event apart end alike as a rule.
fn end_interval() -> usize {
    if is_long() { 1 } else { 5 }
}

#[test]
fn three_servers_found_one_cluster() {
    let first = World {
        restarts: if is_long() { 3 } else { 1 },
        lates: is_long().into(),
        ..World::new()
    };
    let mut looked = 0;
    let worlds = search(first, |world| {
        assert!(world.made.len() <= 1, "{world:#?}");
        for process in &world.processes {
            assert!(!matches!(process, Process::Stopped(_)), "{world:#?}");
        }
        looked += 1;
        if looked % end_interval() != 0 {
            return;
        }
        let end = world.clone().end();
        let founded = ALL.map(|at| end.cluster(at));
        assert!(founded[0].is_some(), "{world:#?}");
        assert_eq!(founded, [founded[0]; 3], "{world:#?}");
    });
    println!("{worlds} worlds");
    assert!(worlds > 10_000);
}

#[test]
fn with_a_disk_lost_on_the_way_the_others_found_one_cluster() {
    let first = World {
        wipes: 1,
        restarts: is_long().into(),
        lates: is_long().into(),
        ..World::new()
    };
    // With the server that was wiped, and without it.
    let mut ends = [0; 2];
    let mut looked = 0;
    let worlds = search(first, |world| {
        // A second one was on the wiped disk, and there only.
        assert!(world.worked.len() <= 1, "{world:#?}");
        let clusters: BTreeSet<_> = ALL.iter().filter_map(|&at| world.cluster(at)).collect();
        assert!(clusters.len() <= 1, "{world:#?}");
        looked += 1;
        if looked % end_interval() != 0 {
            return;
        }
        let end = world.clone().end();
        let clusters = ALL.map(|at| end.cluster(at));
        assert!(clusters[0].is_some(), "{world:#?}");
        assert_eq!(clusters[1], clusters[0], "{world:#?}");
        match &end.processes[2] {
            Process::Stopped(why) => {
                assert!(why.contains("`dlm server remove 3`"), "{world:#?} {why}");
                ends[1] += 1;
            }
            _ => {
                assert_eq!(clusters[2], clusters[0], "{world:#?}");
                ends[0] += 1;
            }
        }
    });
    println!("{worlds} worlds; ends with the wiped server and without: {ends:?}");
    assert!(ends.iter().all(|&count| count > 0));
}
