//! How old sessions are by the leader's count: what a fence has to know to tell a dead session's process from one that
//! was started later under the same name.

use std::collections::BTreeMap;

use dlm_core::cluster::{ClusterState, Death, Phase, Timing};
use dlm_core::{SessionId, Tick};

/// What is known of a session's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionAge {
    /// It joined at least so long ago, in microseconds: a process that has run for less is not its.
    pub at_least_us: u64,
    /// Its lease may last so much longer at its client, in microseconds; 0: that is over.
    pub lease_left_us: u64,
}

/// All sessions, as far back as this leader can tell.
#[derive(Debug, Default)]
pub(super) struct Ages(BTreeMap<SessionId, Known>);

#[derive(Debug)]
struct Known {
    /// When this leader saw it first.
    seen: Tick,
    /// How long it had been there by then.
    before_us: u64,
    /// When this leader saw it dead first.
    dead: Option<Tick>,
    /// Whether its lease had run out then.
    ran_out: bool,
}

impl Ages {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Time passed.
    pub(super) fn look(&mut self, now: Tick, state: &ClusterState, timing: &Timing) {
        let sessions = state.sessions();
        self.0.retain(|known, _| sessions.contains_key(known));
        for (&session, one) in sessions {
            let ran_out = match one.phase {
                Phase::Live => None,
                Phase::Dead { why, .. } | Phase::Fenced { why, .. } => {
                    Some(why == Death::LeaseRanOut)
                }
            };
            // A lease that ran out at a leader before this one was a whole one.
            let before_us = match ran_out {
                Some(true) => timing.session_lease_us,
                _ => 0,
            };
            let known = self.0.entry(session).or_insert(Known {
                seen: now,
                before_us,
                dead: None,
                ran_out: false,
            });
            if let (Some(ran_out), None) = (ran_out, known.dead) {
                (known.dead, known.ran_out) = (Some(now), ran_out);
            }
        }
    }

    /// What is known of one. One that was evicted may still hold a lease that any leader gave it.
    pub(super) fn of(&self, now: Tick, session: SessionId, timing: &Timing) -> SessionAge {
        let lease_us = timing.session_lease_us;
        let Some(known) = self.0.get(&session) else {
            return SessionAge {
                at_least_us: 0,
                lease_left_us: lease_us,
            };
        };
        let dead_us = known.dead.map_or(0, |dead| now.since(dead));
        SessionAge {
            at_least_us: known.before_us.saturating_add(now.since(known.seen)),
            lease_left_us: if known.ran_out {
                0
            } else {
                lease_us.saturating_sub(dead_us)
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::LogIndex;
    use dlm_core::cluster::{Command, Join, Name, Versions};

    use super::*;

    const TIMING: Timing = Timing::DEFAULT;
    const LEASE_US: u64 = TIMING.session_lease_us;

    /// Joins the session 2 and declares it dead at the entries 1 and 2.
    fn state(dead: Option<Death>) -> (ClusterState, SessionId) {
        let mut state = ClusterState::new();
        let versions = Versions { min: 1, max: 1 };
        let endpoint = dlm_core::cluster::Endpoint::new("here").expect("an address");
        let server = dlm_core::ServerId(1);
        let begin = [
            Command::ServerAdded {
                server,
                peer_endpoint: endpoint.clone(),
                role: dlm_core::cluster::Role::Voter,
            },
            Command::ServerStarted(dlm_core::cluster::ServerStarted {
                server,
                nonce: 1,
                endpoint: endpoint.clone(),
                peer_endpoint: endpoint,
                versions,
            }),
            Command::Join(Join {
                nonce: 2,
                name: Name::new("node1").expect("a name"),
                versions,
                attests: None,
            }),
        ];
        for (at, command) in (1..).zip(begin) {
            state.apply(LogIndex(at), command, &mut Vec::new());
        }
        let session = *state.sessions().keys().next().expect("it joined");
        if let Some(why) = dead {
            let name = Name::new("locks").expect("a name");
            let open = Command::OpenLockspace {
                session,
                name,
                options: None,
            };
            state.apply(LogIndex(4), open, &mut Vec::new());
            state.apply(
                LogIndex(5),
                Command::Expire { session, why },
                &mut Vec::new(),
            );
        }
        (state, session)
    }

    #[test]
    fn an_age_counts_from_when_the_leader_saw_the_session() {
        let mut ages = Ages::new();
        let (live, session) = state(None);
        ages.look(Tick(1_000), &live, &TIMING);
        let (dead, _) = state(Some(Death::LeaseRanOut));
        ages.look(Tick(900_000), &dead, &TIMING);
        let age = ages.of(Tick(1_001_000), session, &TIMING);
        assert_eq!((age.at_least_us, age.lease_left_us), (1_000_000, 0));
    }

    #[test]
    fn a_new_leader_knows_of_a_whole_lease_that_ran_out_before_it() {
        let mut ages = Ages::new();
        let (dead, session) = state(Some(Death::LeaseRanOut));
        ages.look(Tick(0), &dead, &TIMING);
        let age = ages.of(Tick(7), session, &TIMING);
        assert_eq!((age.at_least_us, age.lease_left_us), (LEASE_US + 7, 0));
    }

    #[test]
    fn who_was_evicted_may_have_a_lease_yet() {
        let mut ages = Ages::new();
        let (dead, session) = state(Some(Death::Evicted));
        let age = ages.of(Tick(0), session, &TIMING);
        assert_eq!((age.at_least_us, age.lease_left_us), (0, LEASE_US));
        ages.look(Tick(0), &dead, &TIMING);
        let age = ages.of(Tick(LEASE_US - 1), session, &TIMING);
        assert_eq!((age.at_least_us, age.lease_left_us), (LEASE_US - 1, 1));
        assert_eq!(
            ages.of(Tick(2 * LEASE_US), session, &TIMING).lease_left_us,
            0
        );
    }
}
