//! What the leader does beside replicating the log: it counts everybody's lease, and begins what the
//! state of the cluster wants begun.
//!
//! A renewal, of a session, of a server, or of the leader's own, is acknowledged only when a round of the
//! quorum that began after it arrived has shown that this server still leads. So a leader that was
//! deposed, or that was stopped and goes on, renews nothing. All that arrived since the last tick is in
//! one round.
//!
//! Deadlines are this leader's own, and full leases from when it began to lead or acknowledged; they are
//! compared with nobody else's. They count the time in which this process ran and could have read a
//! renewal: **a leader that was stopped, or that hardly gets a processor, takes nobody for lost because of
//! what it did not read meanwhile**, and least of all itself. A longer lease than was given is no harm; and
//! since every look counts, all leases end however slow the leader is. What is decided becomes a command in the log, and
//! is decided again a moment later if nothing came of it: commands name what they were decided upon, so
//! that one too many changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::cluster::{
    ClusterState, Command, Death, FenceNeed, FenceOutcome, Fenced, NamedReplay, Phase, Timing,
};
use dlm_core::{Epoch, Incarnation, LockspaceId, SessionId, SlotId, Tick};

use super::ages::{Ages, SessionAge};
use crate::replica::Context;

/// How long something proposed may take to come out of the log before it is proposed again.
const PROPOSE_AGAIN_US: u64 = 500_000;

/// Of the time between two looks at the clock so many ticks are counted at most.
const COUNTED_TICKS_MAX: u64 = 5;

/// A renewal that waits for its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal<R> {
    /// A session's, or of whoever has its number; the answer goes along `reply`.
    Session {
        session: SessionId,
        nonce: u128,
        reply: R,
    },
    /// A server's process's.
    Server { incarnation: Incarnation, reply: R },
}

/// What the leader has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Duty<R> {
    /// Ask the quorum, under this context.
    Round(Context),
    /// The renewal holds.
    Acknowledge(Renewal<R>),
    /// It does not: who it is for is dead or lost, and is to be told so.
    Deny(Renewal<R>),
    /// Put this into the log.
    Propose(Command),
    /// Run the fence command for a dead session, of which so much is known.
    Fence(SessionId, SessionAge),
}

/// The leader's half of a server, for as long as it leads.
#[derive(Debug)]
pub(super) struct Coordinator<R> {
    timing: Timing,
    /// When it last looked at its clock.
    looked: Option<Tick>,
    /// The time that was counted until then, from 0.
    counted: Tick,
    /// Whether a fence command is configured on this server.
    fences: bool,
    servers: BTreeMap<Incarnation, Tick>,
    sessions: BTreeMap<SessionId, Tick>,
    ages: Ages,
    arrived: Vec<Renewal<R>>,
    rounds: BTreeMap<Context, Vec<Renewal<R>>>,
    /// When what was proposed for a purpose may be proposed again.
    proposed: BTreeMap<Purpose, Tick>,
    /// Fence commands that run, and when the next attempt of those that failed may begin.
    fencing: BTreeSet<SessionId>,
    /// Those whose fence command succeeded here, until the log says so: it is run once.
    fenced: BTreeSet<SessionId>,
    fence_after: BTreeMap<SessionId, Tick>,
    replays: BTreeMap<(SessionId, LockspaceId, SessionId), Tick>,
    arrivals: BTreeMap<(SlotId, Epoch), Tick>,
}

/// What a command is for: one of each at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Purpose {
    Lost(Incarnation),
    Expire(SessionId),
    Fenced(SessionId),
    Replay(SessionId, LockspaceId),
    Slot(SlotId),
}

impl<R: Copy> Coordinator<R> {
    /// For a server that has just begun to lead.
    pub(super) const fn new(timing: Timing, fences: bool) -> Self {
        Self {
            timing,
            looked: None,
            counted: Tick(0),
            fences,
            servers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            ages: Ages::new(),
            arrived: Vec::new(),
            rounds: BTreeMap::new(),
            proposed: BTreeMap::new(),
            fencing: BTreeSet::new(),
            fenced: BTreeSet::new(),
            fence_after: BTreeMap::new(),
            replays: BTreeMap::new(),
            arrivals: BTreeMap::new(),
        }
    }

    /// A renewal arrived.
    pub(super) fn renew(&mut self, renewal: Renewal<R>) {
        self.arrived.push(renewal);
    }

    /// How many renewals wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        let rounds = self.rounds.values().map(Vec::len);
        self.arrived.len() + rounds.sum::<usize>()
    }

    /// What is left of each server's process's lease, in microseconds: 0 where it has run out.
    pub(super) fn servers(&self, now: Tick) -> impl Iterator<Item = (Incarnation, u64)> {
        let now = self.time(now);
        let servers = self.servers.iter();
        servers.map(move |(&incarnation, until)| (incarnation, until.since(now)))
    }

    /// What is left of each session's.
    pub(super) fn sessions(&self, now: Tick) -> impl Iterator<Item = (SessionId, u64)> {
        let now = self.time(now);
        let sessions = self.sessions.iter();
        sessions.map(move |(&session, until)| (session, until.since(now)))
    }

    /// Renewals that will have no answer from this leader, which leads no more.
    pub(super) fn abandoned(self) -> impl Iterator<Item = Renewal<R>> {
        self.rounds.into_values().flatten().chain(self.arrived)
    }

    /// A round was not made: this server is not sure yet that it leads.
    pub(super) fn round_dropped(&mut self, context: Context) {
        if let Some(renewals) = self.rounds.remove(&context) {
            self.arrived.splice(0..0, renewals);
        }
    }

    /// A round is over: this server led when it began.
    pub(super) fn round_over(
        &mut self,
        now: Tick,
        context: Context,
        state: &ClusterState,
        duties: &mut Vec<Duty<R>>,
    ) {
        let now = self.time(now);
        for renewal in self.rounds.remove(&context).unwrap_or_default() {
            if self.ran_out(now, &renewal) {
                continue;
            }
            let holds = match renewal {
                Renewal::Session { session, nonce, .. } => {
                    let known = state.sessions().get(&session);
                    let lives = known.is_some_and(|one| one.is_live() && one.nonce == nonce);
                    lives && {
                        self.sessions
                            .insert(session, self.timing.session_expires(now));
                        true
                    }
                }
                Renewal::Server { incarnation, .. } => {
                    state.server_of(incarnation).is_some() && {
                        self.servers
                            .insert(incarnation, self.timing.server_expires(now));
                        true
                    }
                }
            };
            duties.push(if holds {
                Duty::Acknowledge(renewal)
            } else {
                Duty::Deny(renewal)
            });
        }
    }

    /// **Whose lease has run out by this leader's count is not renewed any more**: the entry that says so
    /// may be in the log already, and what it frees is given away when it is applied. Who asks hears
    /// nothing until then.
    fn ran_out(&self, now: Tick, renewal: &Renewal<R>) -> bool {
        let until = match renewal {
            Renewal::Session { session, .. } => self.sessions.get(session),
            Renewal::Server { incarnation, .. } => self.servers.get(incarnation),
        };
        until.is_some_and(|&until| until < now)
    }

    /// A fence command ended.
    pub(super) fn fence_ended(
        &mut self,
        now: Tick,
        (session, outcome): (SessionId, FenceOutcome),
        duties: &mut Vec<Duty<R>>,
    ) {
        let now = self.time(now);
        self.fencing.remove(&session);
        if matches!(outcome, FenceOutcome::Done(_)) {
            self.fenced.insert(session);
            return self.propose_fenced(now, session, Fenced::Command, duties);
        }
        let after = now.plus(self.timing.fence_retry_us);
        self.fence_after.insert(session, after);
        duties.push(Duty::Propose(Command::FenceResult { session, outcome }));
    }

    /// Time passed. `round` is a context that was not used before.
    pub(super) fn tick(
        &mut self,
        looked: Tick,
        round: Context,
        state: &ClusterState,
        duties: &mut Vec<Duty<R>>,
    ) {
        let now = self.time(looked);
        (self.looked, self.counted) = (Some(looked), now);
        if !self.arrived.is_empty() {
            self.rounds.insert(round, std::mem::take(&mut self.arrived));
            duties.push(Duty::Round(round));
        }
        self.proposed.retain(|_, again| *again > now);
        self.ages.look(now, state, &self.timing);
        self.count_servers(now, state, duties);
        self.count_sessions(now, state, duties);
        self.fence(now, state, duties);
        self.count_replays(now, state, duties);
        self.move_slots(now, state, duties);
    }

    /// The time that is counted: what all deadlines here are compared with.
    fn time(&self, now: Tick) -> Tick {
        let passed_us = self.looked.map_or(0, |looked| now.since(looked));
        let counted_us_max = COUNTED_TICKS_MAX * self.timing.tick_us;
        self.counted.plus(passed_us.min(counted_us_max))
    }

    fn propose(
        &mut self,
        now: Tick,
        purpose: Purpose,
        command: Command,
        duties: &mut Vec<Duty<R>>,
    ) {
        let again = now.plus(PROPOSE_AGAIN_US);
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.proposed.entry(purpose) {
            vacant.insert(again);
            duties.push(Duty::Propose(command));
        }
    }

    /// One that this leader sees for the first time has a full lease from now on.
    fn count_servers(&mut self, now: Tick, state: &ClusterState, duties: &mut Vec<Duty<R>>) {
        let running: BTreeSet<Incarnation> = state.running().map(|one| one.incarnation).collect();
        self.servers.retain(|known, _| running.contains(known));
        for incarnation in running {
            let fresh = self.timing.server_expires(now);
            let until = *self.servers.entry(incarnation).or_insert(fresh);
            if until < now {
                let lost = Command::ServerLost { incarnation };
                self.propose(now, Purpose::Lost(incarnation), lost, duties);
            }
        }
    }

    fn count_sessions(&mut self, now: Tick, state: &ClusterState, duties: &mut Vec<Duty<R>>) {
        let lives = |id: &SessionId| state.sessions().get(id).is_some_and(|one| one.is_live());
        self.sessions.retain(|known, _| lives(known));
        let live = state.sessions().iter().filter(|(_, one)| one.is_live());
        for (&session, _) in live {
            let fresh = self.timing.session_expires(now);
            let until = *self.sessions.entry(session).or_insert(fresh);
            if until < now {
                let why = Death::LeaseRanOut;
                let expire = Command::Expire { session, why };
                self.propose(now, Purpose::Expire(session), expire, duties);
            }
        }
    }

    /// The command is the fence of whoever had a lockspace open. Where none is configured the lease alone
    /// is, unless that is not enough for the lockspace: then it waits for somebody's word. Whoever is dead
    /// because its lease ran out here has ended by its own clock before; one that was evicted may still
    /// hold a lease that any leader gave it, so that a full one is waited for.
    fn fence(&mut self, now: Tick, state: &ClusterState, duties: &mut Vec<Duty<R>>) {
        let wanted: Vec<(SessionId, FenceNeed)> = state.fences_wanted().collect();
        let is_wanted = |id: &SessionId| wanted.iter().any(|(wanted, _)| wanted == id);
        self.fence_after.retain(|session, _| is_wanted(session));
        self.fenced.retain(is_wanted);
        for &(session, need) in &wanted {
            if self.fenced.contains(&session) {
                self.propose_fenced(now, session, Fenced::Command, duties);
                continue;
            }
            if need > FenceNeed::Lease && self.fences {
                let may = self
                    .fence_after
                    .get(&session)
                    .is_none_or(|&after| after <= now);
                if may && self.fencing.insert(session) {
                    let age = self.ages.of(now, session, &self.timing);
                    duties.push(Duty::Fence(session, age));
                }
                continue;
            }
            if need == FenceNeed::Command {
                continue;
            }
            let over = match state.sessions().get(&session).map(|one| &one.phase) {
                Some(Phase::Dead {
                    why: Death::LeaseRanOut,
                    ..
                }) => now,
                _ => self.timing.session_expires(now),
            };
            let over = *self.fence_after.entry(session).or_insert(over);
            if over <= now {
                self.propose_fenced(now, session, Fenced::Lease, duties);
            }
        }
    }

    fn propose_fenced(
        &mut self,
        now: Tick,
        session: SessionId,
        by: Fenced,
        duties: &mut Vec<Duty<R>>,
    ) {
        let outcome = FenceOutcome::Done(by);
        let fenced = Command::FenceResult { session, outcome };
        self.propose(now, Purpose::Fenced(session), fenced, duties);
    }

    fn count_replays(&mut self, now: Tick, state: &ClusterState, duties: &mut Vec<Duty<R>>) {
        let named = state.replays_wanted().filter_map(|replay| {
            let by = replay.by?;
            Some((replay.dead, replay.lockspace, by))
        });
        let named: BTreeSet<_> = named.collect();
        self.replays.retain(|known, _| named.contains(known));
        for key @ (dead, lockspace, by) in named {
            let fresh = now.plus(self.timing.replay_us_max);
            if *self.replays.entry(key).or_insert(fresh) < now {
                let failed = Command::ReplayerFailed(NamedReplay {
                    dead,
                    lockspace,
                    by,
                });
                self.propose(now, Purpose::Replay(dead, lockspace), failed, duties);
            }
        }
    }

    /// Begins the moves that are due, and gives up those whose table does not arrive.
    fn move_slots(&mut self, now: Tick, state: &ClusterState, duties: &mut Vec<Duty<R>>) {
        let moving = state.slots().filter(|(_, slot)| slot.is_moving());
        let moving: BTreeSet<_> = moving.map(|(id, slot)| (id, slot.epoch)).collect();
        self.arrivals.retain(|known, _| moving.contains(known));
        for key @ (slot, epoch) in moving {
            let fresh = now.plus(self.timing.handover_us_max);
            if *self.arrivals.entry(key).or_insert(fresh) < now {
                let to = None;
                let recover = Command::RecoverSlot { slot, epoch, to };
                self.propose(now, Purpose::Slot(slot), recover, duties);
            }
        }
        for (slot, epoch, to) in state.moves_due() {
            let moves = Command::MoveSlot { slot, epoch, to };
            self.propose(now, Purpose::Slot(slot), moves, duties);
        }
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::LogIndex;
    use dlm_core::cluster::{Endpoint, Join, Name, Role, ServerStarted, Versions};

    use super::*;

    const TIMING: Timing = Timing::DEFAULT;
    const SESSION: SessionId = SessionId(1);
    const PROCESS: Incarnation = Incarnation(2);

    fn state() -> ClusterState {
        let server = dlm_core::ServerId(1);
        let endpoint = Endpoint::new("here").expect("an address");
        let versions = Versions { min: 1, max: 1 };
        let commands = [
            Command::ServerAdded {
                server,
                peer_endpoint: endpoint.clone(),
                role: Role::Voter,
            },
            Command::ServerStarted(ServerStarted {
                server,
                nonce: 1,
                endpoint: endpoint.clone(),
                peer_endpoint: endpoint,
                versions,
            }),
            Command::Join(Join {
                nonce: 2,
                name: Name::new("client").expect("a name"),
                versions,
                attests: None,
            }),
        ];
        let mut state = ClusterState::new();
        for (at, command) in (1..).zip(commands) {
            state.apply(LogIndex(at), command, &mut Vec::new());
        }
        state
    }

    /// Ticks until `until`, and says what came of it.
    fn run(coordinator: &mut Coordinator<()>, from: u64, until: u64) -> Vec<Duty<()>> {
        let mut duties = Vec::new();
        for now in (from..=until).step_by(10_000) {
            coordinator.tick(Tick(now), Context(now), &state(), &mut duties);
        }
        duties
    }

    fn is_expire(duty: &Duty<()>) -> bool {
        matches!(duty, Duty::Propose(Command::Expire { session, .. }) if *session == SESSION)
    }

    #[test]
    fn a_renewal_is_acknowledged_by_the_round_that_began_after_it() {
        let mut coordinator = Coordinator::new(TIMING, false);
        let renewal = Renewal::Server {
            incarnation: PROCESS,
            reply: (),
        };
        assert_eq!(run(&mut coordinator, 0, 0), []);
        coordinator.renew(renewal);
        let round = Context(10_000);
        assert_eq!(run(&mut coordinator, 10_000, 10_000), [Duty::Round(round)]);
        coordinator.renew(renewal);
        let mut duties = Vec::new();
        coordinator.round_over(Tick(11_000), round, &state(), &mut duties);
        assert_eq!(duties, [Duty::Acknowledge(renewal)]);
        // The second one came after that round began, and waits for the next one.
        assert_eq!(coordinator.waiting(), 1);
        coordinator.round_over(Tick(12_000), round, &state(), &mut duties);
        assert_eq!(duties.len(), 1);
    }

    #[test]
    fn a_session_that_was_declared_dead_is_not_renewed_before_the_log_says_so() {
        let mut coordinator = Coordinator::new(TIMING, false);
        let duties = run(&mut coordinator, 0, TIMING.session_lease_us + 10_000);
        assert!(duties.iter().any(is_expire));
        let now = TIMING.session_lease_us + 20_000;
        coordinator.renew(Renewal::Session {
            session: SESSION,
            nonce: 2,
            reply: (),
        });
        run(&mut coordinator, now, now);
        let mut duties = Vec::new();
        coordinator.round_over(Tick(now), Context(now), &state(), &mut duties);
        assert_eq!(duties, []);
    }

    #[test]
    fn a_leader_that_was_stopped_counts_on_from_there() {
        let mut coordinator = Coordinator::new(TIMING, false);
        run(&mut coordinator, 0, 100_000);
        let woken = 100_000 + TIMING.session_lease_us;
        let counted_us = 100_000 + COUNTED_TICKS_MAX * TIMING.tick_us;
        let before = woken + TIMING.server_lease_us - counted_us;
        assert_eq!(run(&mut coordinator, woken, before), []);
        let duties = run(
            &mut coordinator,
            before + 10_000,
            woken + TIMING.session_lease_us,
        );
        assert!(duties.iter().any(is_expire));
    }

    /// The log takes a while to say that the session is fenced.
    #[test]
    fn a_fence_command_that_succeeded_is_not_run_again() {
        let mut state = state();
        let mut apply = |at, command| state.apply(LogIndex(at), command, &mut Vec::new());
        let name = Name::new("locks").expect("a name");
        let (session, options, why) = (SESSION, None, Death::Evicted);
        let open = Command::OpenLockspace {
            session,
            name,
            options,
        };
        apply(4, open);
        apply(5, Command::Expire { session, why });
        let mut coordinator: Coordinator<()> = Coordinator::new(TIMING, true);
        let mut duties = Vec::new();
        coordinator.tick(Tick(0), Context(0), &state, &mut duties);
        let fences =
            |duties: &[Duty<()>]| duties.iter().any(|duty| matches!(duty, Duty::Fence(..)));
        assert!(fences(&duties));
        duties.clear();
        let done = FenceOutcome::Done(Fenced::Command);
        coordinator.fence_ended(Tick(5_000), (session, done.clone()), &mut duties);
        for now in (10_000..2 * PROPOSE_AGAIN_US).step_by(10_000) {
            coordinator.tick(Tick(now), Context(now), &state, &mut duties);
        }
        let fenced = Duty::Propose(Command::FenceResult {
            session,
            outcome: done,
        });
        assert!(!fences(&duties));
        assert_eq!(duties.iter().filter(|duty| **duty == fenced).count(), 2);
    }

    /// As a server that is alone, on a machine that is busy: what it asked for waits until it runs again.
    #[test]
    fn a_leader_that_hardly_runs_does_not_give_itself_up() {
        let mut coordinator = Coordinator::new(TIMING, false);
        let slow_us = 2 * TIMING.server_lease_us;
        for look in 0..100 {
            let now = Tick(look * slow_us);
            let mut duties = Vec::new();
            coordinator.tick(now, Context(look), &state(), &mut duties);
            coordinator.round_over(now, Context(look), &state(), &mut duties);
            let lost = |duty: &Duty<()>| matches!(duty, Duty::Propose(Command::ServerLost { .. }));
            assert!(!duties.iter().any(lost), "look {look}");
            coordinator.renew(Renewal::Server {
                incarnation: PROCESS,
                reply: (),
            });
        }
    }

    #[test]
    fn leases_end_however_slow_the_leader_is() {
        let mut coordinator = Coordinator::new(TIMING, false);
        let looks = TIMING.session_lease_us / (COUNTED_TICKS_MAX * TIMING.tick_us);
        let mut duties = Vec::new();
        for look in 0..looks + 2 {
            let now = Tick(look * TIMING.session_lease_us);
            coordinator.tick(now, Context(look), &state(), &mut duties);
        }
        assert!(duties.iter().any(is_expire));
    }
}
