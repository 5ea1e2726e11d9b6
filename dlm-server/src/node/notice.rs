//! What the log says: one line for each [`Notice`], in words that somebody can act on.

use std::fmt;

use super::message::Notice;

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announced {
                incarnation,
                endpoint,
            } => write!(
                f,
                "this server is known to the cluster as incarnation {}; clients find it at {endpoint}",
                incarnation.0
            ),
            Self::Lost { incarnation } => write!(
                f,
                "the cluster gave this server up (incarnation {}): the slots it had are recovered \
                 elsewhere, and it begins again; look at its load and its network",
                incarnation.0
            ),
            Self::Leads { term } => write!(f, "this server leads the cluster in term {term}"),
            Self::LeaseRanOut => f.write_str(
                "this server's lease ran out: it serves no locks until it reaches the leader again; \
                 look at its load and its network",
            ),
            Self::Restored { index } => write!(
                f,
                "this server was behind and took the cluster's state up to entry {} from the leader",
                index.0
            ),
            Self::Died { session, why } => write!(
                f,
                "session {} is dead: {why}; its locks stay blocked until it is fenced",
                session.0
            ),
            Self::FenceFailed { session, failures } => write!(
                f,
                "fencing session {} failed ({failures} so far): its locks stay blocked, and it is \
                 tried again; look at the fence command",
                session.0
            ),
            Self::Evicts { session, slot, why } => {
                write!(f, "evicting session {} from slot {slot}: {why}", session.0)
            }
            Self::ImageBroken { slot, epoch } => write!(
                f,
                "the table of slot {slot} did not arrive whole for epoch {}: it is put together again \
                 from what its clients hold",
                epoch.0
            ),
            Self::Removed { said_by: None } => f.write_str(
                "this server was removed from its cluster: it serves nothing, and may be stopped for good",
            ),
            Self::Removed {
                said_by: Some(by),
            } => write!(
                f,
                "server {} says that this one was removed from its cluster: see `dlm server list`; where that is \
                 so, it may be stopped for good",
                by.0
            ),
            Self::MessageRefused { from, why } => {
                write!(f, "a message of server {} was not read: {why}", from.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::cluster::{Death, Endpoint};
    use dlm_core::recovery::EvictReason;
    use dlm_core::{Epoch, Incarnation, LogIndex, ServerId, SessionId, SlotId};

    use super::*;
    use crate::replica::MessageRefusal;

    const DEATHS: [Death; 8] = [
        Death::LeaseRanOut,
        Death::Evicted,
        Death::NotReasserted,
        Death::NotAnswering,
        Death::Contradicted,
        Death::ReplayFailed,
        Death::Attested,
        Death::Forced,
    ];

    #[test]
    fn the_log_says_what_happened_to_whom() {
        let session = SessionId(7);
        let slot = SlotId::new(13).expect("a slot");
        let why = Death::LeaseRanOut;
        for (notice, expected) in [
            (
                Notice::Died { session, why },
                "session 7 is dead: it did not renew its lease in time; its locks stay blocked until \
                 it is fenced",
            ),
            (
                Notice::Evicts {
                    session,
                    slot,
                    why: EvictReason::NoAnswer,
                },
                "evicting session 7 from slot 13: it did not say which locks it has",
            ),
            (
                Notice::MessageRefused {
                    from: ServerId(2),
                    why: MessageRefusal::Cluster,
                },
                "a message of server 2 was not read: the message is another cluster's; look at the \
                 servers' peer addresses",
            ),
            (
                Notice::Announced {
                    incarnation: Incarnation(20),
                    endpoint: Endpoint::lossy("lock1:7170"),
                },
                "this server is known to the cluster as incarnation 20; clients find it at lock1:7170",
            ),
        ] {
            assert_eq!(notice.to_string(), expected);
        }
    }

    #[test]
    fn every_notice_is_one_line() {
        let session = SessionId(7);
        let slot = SlotId::new(13).expect("a slot");
        let incarnation = Incarnation(20);
        let index = LogIndex(9);
        let epoch = Epoch(4);
        let mut notices = vec![
            Notice::Lost { incarnation },
            Notice::Leads { term: 3 },
            Notice::LeaseRanOut,
            Notice::Restored { index },
            Notice::ImageBroken { slot, epoch },
        ];
        let failures = 2;
        notices.push(Notice::FenceFailed { session, failures });
        notices.extend(DEATHS.map(|why| Notice::Died { session, why }));
        let mut texts: Vec<String> = notices.iter().map(Notice::to_string).collect();
        for text in &texts {
            assert!(!text.contains('\n') && !text.contains("  "), "{text}");
            assert!(!text.ends_with('.') && text.len() < 200, "{text}");
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), notices.len(), "each says something else");
    }
}
