//! What does not go on in a cluster, and on what that waits.

use std::fmt;

use glockwork_proto::wire;
use glockwork_proto::wire::blocked::By;
use serde::Serialize;

/// Something that does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Blocked {
    /// No leader is known: nothing is decided.
    NoLeader,
    /// A server has no lease, and its slots wait for it.
    NoLease {
        /// Which server.
        server: u64,
        /// How many slots.
        slots: u32,
    },
    /// No server runs that may take the slots.
    NoMaster {
        /// How many slots.
        slots: u32,
    },
    /// Slots recover: a session has not said yet what it holds there.
    Reassert {
        /// The session.
        session: Named,
        /// In how many slots.
        slots: u32,
    },
    /// Slots are on their way from a server.
    Handover {
        /// Which server.
        server: u64,
        /// How many slots.
        slots: u32,
    },
    /// A dead session is not fenced: what it holds stays.
    Fence {
        /// The session.
        session: Named,
        /// Whether its fence is the command; else its lease is waited for.
        command: bool,
        /// How often that failed.
        failures: u32,
        /// Why it failed the last time, or cannot be run; empty where it did not and can.
        failure: String,
    },
    /// A dead session's journal is to be replayed.
    Replay {
        /// The dead session.
        session: Named,
        /// In which lockspace.
        lockspace: String,
        /// Who is to replay it; `null`: whoever opens the lockspace next.
        replayer: Option<Named>,
    },
    /// A lockspace is closed in some slots: a dead session may have locks there that nobody knows.
    UnknownLocks {
        /// The dead session.
        session: Named,
        /// The lockspace.
        lockspace: String,
        /// In how many slots.
        slots: u32,
    },
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named {
    /// Its number.
    pub number: u64,
    /// What people call it.
    pub name: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name[..] {
            "" => write!(f, "session {}", self.number),
            name => write!(f, "{name} ({})", self.number),
        }
    }
}

fn fence(
    f: &mut fmt::Formatter<'_>,
    session: &Named,
    command: bool,
    (failures, failure): (u32, &str),
) -> fmt::Result {
    write!(f, "the locks of {session} wait for its fence")?;
    if !command {
        return f.write_str(", which is the end of its lease");
    }
    match failures {
        0 if failure.is_empty() => return f.write_str(" command to end"),
        0 => write!(f, ", and {failure}")?,
        1 => write!(f, ", which failed with \"{failure}\" and is tried again")?,
        _ => write!(
            f,
            ", which failed {failures} times, the last time with \"{failure}\""
        )?,
    }
    let number = session.number;
    write!(
        f,
        "; when the machine is surely down: dlm fence confirm {number}"
    )
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeader => f.write_str(
                "everything that all servers agree on waits for a leader: start more servers, or mend the \
                 network between them",
            ),
            Self::NoLease { server, slots } => write!(
                f,
                "{} of server {server} wait for its lease: it does not reach the leader",
                these(*slots)
            ),
            Self::NoMaster { slots } => write!(
                f,
                "{} wait for a master: start a server that may take them",
                these(*slots)
            ),
            Self::Reassert { session, slots } => write!(
                f,
                "{} wait for {session} to say what it holds; it is evicted if it does not",
                these(*slots)
            ),
            Self::Handover { server, slots } => {
                write!(f, "{} are on their way from server {server}", these(*slots))
            }
            Self::Fence {
                session,
                command,
                failures,
                failure,
            } => fence(f, session, *command, (*failures, failure)),
            Self::Replay {
                session,
                lockspace,
                replayer: Some(replayer),
            } => write!(
                f,
                "the locks of {session} in {lockspace} wait for {replayer} to replay its journal"
            ),
            Self::Replay {
                session,
                lockspace,
                replayer: None,
            } => write!(
                f,
                "the locks of {session} in {lockspace} wait for a node that opens it and replays the journal"
            ),
            Self::UnknownLocks {
                session,
                lockspace,
                slots,
            } => write!(
                f,
                "{lockspace} is closed in {} until {session} is fenced: nobody knows what it held there",
                these(*slots)
            ),
        }
    }
}

fn these(slots: u32) -> String {
    match slots {
        1 => "1 slot".into(),
        slots => format!("{slots} slots"),
    }
}

/// What the server says; `None` where it is newer and says something else.
pub(crate) fn blocked(wire: wire::Blocked) -> Option<Blocked> {
    let (server, slots) = (wire.server, wire.slots);
    let by = wire.by();
    let session = Named {
        number: wire.session,
        name: wire.session_name,
    };
    let lockspace = wire.lockspace;
    Some(match by {
        By::Unspecified => return None,
        By::NoLeader => Blocked::NoLeader,
        By::NoLease => Blocked::NoLease { server, slots },
        By::NoMaster => Blocked::NoMaster { slots },
        By::Reassert => Blocked::Reassert { session, slots },
        By::Handover => Blocked::Handover { server, slots },
        By::Fence => Blocked::Fence {
            session,
            command: wire.command,
            failures: wire.failures,
            failure: wire.failure,
        },
        By::Replay => Blocked::Replay {
            session,
            lockspace,
            replayer: (wire.replayer != 0).then_some(Named {
                number: wire.replayer,
                name: wire.replayer_name,
            }),
        },
        By::UnknownLocks => Blocked::UnknownLocks {
            session,
            lockspace,
            slots,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_that_failed_says_what_to_do() {
        let wire = wire::Blocked {
            by: By::Fence.into(),
            session: 7,
            session_name: "node3".into(),
            failures: 2,
            failure: "no route".into(),
            command: true,
            ..wire::Blocked::default()
        };
        let text = blocked(wire).expect("it is known").to_string();
        assert_eq!(
            text,
            "the locks of node3 (7) wait for its fence, which failed 2 times, the last time with \"no route\"; \
             when the machine is surely down: dlm fence confirm 7"
        );
    }

    #[test]
    fn each_kind_is_read_and_is_one_line() {
        for by in 1..=8 {
            let wire = wire::Blocked {
                by,
                session: 7,
                slots: 3,
                lockspace: "volume".into(),
                ..wire::Blocked::default()
            };
            let read = blocked(wire).expect("it is known");
            assert_eq!(read.to_string().lines().count(), 1);
        }
        let newer = wire::Blocked {
            by: 9,
            ..wire::Blocked::default()
        };
        assert_eq!(blocked(newer), None);
    }
}
