//! Faults of the network that are put in on request: between whom, and what happens there.

use std::fmt;
use std::str::FromStr;

use dlm_core::ServerId;

use crate::error::WireError;
use crate::name::Name;

/// How much later a delay may let bytes arrive, in microseconds: a minute. Longer than every lease and every
/// wait for an answer, and what is under way meanwhile has to be kept.
pub const FAULT_DELAY_US_MAX: u64 = 60_000_000;

/// An end of a link. As text: `2` is a server, `node1` a session, `client` every session; `session:2` is the
/// session that is called so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// A server of the cluster.
    Server(ServerId),
    /// A session, by what people call it.
    Session(Name),
    /// All sessions.
    Sessions,
}

/// What stands for all sessions.
const SESSIONS: &str = "client";
/// What makes a session's name of a text that would be something else.
const SESSION_PREFIX: &str = "session:";

impl Member {
    /// Whether `other`, which is one server or one session, is meant.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other || (*self == Self::Sessions && !matches!(other, Self::Server(_)))
    }
}

impl FromStr for Member {
    type Err = WireError;

    fn from_str(text: &str) -> Result<Self, WireError> {
        if let Some(name) = text.strip_prefix(SESSION_PREFIX) {
            return Ok(Self::Session(Name::new(name)?));
        }
        match text.parse() {
            Ok(0) => Err(WireError::FaultServer),
            Ok(number) => Ok(Self::Server(ServerId(number))),
            Err(_) if text == SESSIONS => Ok(Self::Sessions),
            Err(_) => Ok(Self::Session(Name::new(text)?)),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server(server) => write!(f, "{}", server.0),
            Self::Sessions => f.write_str(SESSIONS),
            Self::Session(name) => {
                let text = name.as_str();
                let other = text == SESSIONS
                    || text.starts_with(SESSION_PREFIX)
                    || text.parse::<u64>().is_ok();
                let prefix = if other { SESSION_PREFIX } else { "" };
                write!(f, "{prefix}{text}")
            }
        }
    }
}

/// What happens to the bytes on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// They arrive later, in their order.
    Delay {
        /// How much later, in microseconds; at most [`FAULT_DELAY_US_MAX`].
        us: u64,
    },
    /// As if the process at the other end were stopped: one can connect, and then nothing passes.
    Stall,
    /// Nothing passes, and nobody can connect. Bytes wait where they are.
    Cut,
    /// They are lost, and nobody can connect. A connection that lost bytes is closed when it is over, for TCP
    /// could not go on with it either.
    Drop,
}

/// The kinds of faults: a link has at most one of each in a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// [`Fault::Delay`].
    Delay,
    /// [`Fault::Stall`].
    Stall,
    /// [`Fault::Cut`].
    Cut,
    /// [`Fault::Drop`].
    Drop,
}

impl FaultKind {
    /// Its name, as documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delay => "delay",
            Self::Stall => "stall",
            Self::Cut => "cut",
            Self::Drop => "drop",
        }
    }
}

impl Fault {
    /// Of which kind it is.
    #[must_use]
    pub const fn kind(self) -> FaultKind {
        match self {
            Self::Delay { .. } => FaultKind::Delay,
            Self::Stall => FaultKind::Stall,
            Self::Cut => FaultKind::Cut,
            Self::Drop => FaultKind::Drop,
        }
    }
}

/// A fault to put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Where the bytes come from.
    pub from: Member,
    /// Where they go to.
    pub to: Member,
    /// Whether the other direction is left alone.
    pub one_way: bool,
    /// What happens to them.
    pub fault: Fault,
    /// How long, in microseconds; `None`: until it is healed.
    pub for_us: Option<u64>,
    /// Whether the server that is asked keeps it to itself.
    pub here_only: bool,
}

/// Faults to take away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healing {
    /// What is between these two, both ways; `None`: everything.
    pub link: Option<(Member, Member)>,
    /// Whether the server that is asked keeps it to itself.
    pub here_only: bool,
}

/// A fault that a server has, in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveFault {
    /// Where the bytes come from.
    pub from: Member,
    /// Where they go to.
    pub to: Member,
    /// What happens to them.
    pub fault: Fault,
    /// How much longer, in microseconds; `None`: until it is healed.
    pub left_us: Option<u64>,
}

/// A server that did not take what was passed on to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// Which.
    pub server: ServerId,
    /// Why not.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_written_as_it_is_read() {
        let session = |name: &str| Member::Session(Name::new(name).unwrap());
        for (text, member) in [
            ("1", Member::Server(ServerId(1))),
            ("node1", session("node1")),
            ("client", Member::Sessions),
            ("session:2", session("2")),
            ("session:client", session("client")),
            ("session:session:x", session("session:x")),
        ] {
            assert_eq!(text.parse(), Ok(member.clone()), "{text}");
            assert_eq!(member.to_string(), text);
        }
        assert_eq!("0".parse::<Member>(), Err(WireError::FaultServer));
        for nobody in ["", "session:", "a\nb"] {
            assert!(nobody.parse::<Member>().is_err(), "{nobody:?}");
        }
    }

    #[test]
    fn every_session_is_a_client_and_no_server_is() {
        let one: Member = "node1".parse().unwrap();
        let server = Member::Server(ServerId(1));
        assert!(Member::Sessions.covers(&one) && !one.covers(&Member::Sessions));
        assert!(!Member::Sessions.covers(&server) && server.covers(&server));
    }
}
