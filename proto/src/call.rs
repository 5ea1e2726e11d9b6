//! The answer to a call, as the reply of its method has it.
//!
//! A server takes [`Answer`] from what it has to answer, and renders that:
//! `render::join_reply(Answer::try_from(answer)?)`. A client goes the other way:
//! `CallAnswer::from(convert::join_reply(reply)?)`.

use dlm_core::LogIndex;
use dlm_core::call::CallAnswer;
use dlm_core::link::SlotMap;
use thiserror::Error;

use crate::cluster::{Answer, Joined, Opened};

/// An answer that its call never has: the server has mixed up two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the answer belongs to another call; the server is broken, ask another one")]
pub struct OtherCall;

impl<T> Answer<T> {
    /// Takes what is no answer of a kind of its own; `done` takes the rest. No answer at all is one from a
    /// server that knows of no leader: whoever asked does so again.
    fn take(
        answer: CallAnswer,
        done: impl FnOnce(CallAnswer) -> Option<T>,
    ) -> Result<Self, OtherCall> {
        match answer {
            CallAnswer::NotLeader(leader) => Ok(Self::Leader(leader)),
            CallAnswer::Failed => Ok(Self::Leader(None)),
            CallAnswer::Refused(why) => Ok(Self::Refused(why)),
            answer => done(answer).map(Self::Done).ok_or(OtherCall),
        }
    }

    fn give(self, done: impl FnOnce(T) -> CallAnswer) -> CallAnswer {
        match self {
            Self::Done(what) => done(what),
            Self::Leader(leader) => CallAnswer::NotLeader(leader),
            Self::Refused(why) => CallAnswer::Refused(why),
        }
    }
}

impl TryFrom<CallAnswer> for Answer<Joined> {
    type Error = OtherCall;

    fn try_from(answer: CallAnswer) -> Result<Self, OtherCall> {
        Self::take(answer, |answer| match answer {
            CallAnswer::Joined {
                session,
                joined,
                version,
                lease_us,
            } => Some(Joined {
                session,
                joined,
                version,
                lease_us,
            }),
            _ => None,
        })
    }
}

impl TryFrom<CallAnswer> for Answer<LogIndex> {
    type Error = OtherCall;

    fn try_from(answer: CallAnswer) -> Result<Self, OtherCall> {
        Self::take(answer, |answer| match answer {
            CallAnswer::Alive { map_index } => Some(map_index),
            _ => None,
        })
    }
}

impl TryFrom<CallAnswer> for Answer<Opened> {
    type Error = OtherCall;

    fn try_from(answer: CallAnswer) -> Result<Self, OtherCall> {
        Self::take(answer, |answer| match answer {
            CallAnswer::Opened {
                lockspace,
                options,
                replays,
            } => Some(Opened {
                lockspace,
                options,
                replays,
            }),
            _ => None,
        })
    }
}

impl TryFrom<CallAnswer> for Answer<SlotMap> {
    type Error = OtherCall;

    fn try_from(answer: CallAnswer) -> Result<Self, OtherCall> {
        Self::take(answer, |answer| match answer {
            CallAnswer::Map(map) => Some(map),
            _ => None,
        })
    }
}

impl TryFrom<CallAnswer> for Answer<()> {
    type Error = OtherCall;

    fn try_from(answer: CallAnswer) -> Result<Self, OtherCall> {
        Self::take(answer, |answer| (answer == CallAnswer::Done).then_some(()))
    }
}

impl From<Answer<Joined>> for CallAnswer {
    fn from(answer: Answer<Joined>) -> Self {
        answer.give(|done| Self::Joined {
            session: done.session,
            joined: done.joined,
            version: done.version,
            lease_us: done.lease_us,
        })
    }
}

impl From<Answer<LogIndex>> for CallAnswer {
    fn from(answer: Answer<LogIndex>) -> Self {
        answer.give(|map_index| Self::Alive { map_index })
    }
}

impl From<Answer<Opened>> for CallAnswer {
    fn from(answer: Answer<Opened>) -> Self {
        answer.give(|done| Self::Opened {
            lockspace: done.lockspace,
            options: done.options,
            replays: done.replays,
        })
    }
}

impl From<Answer<SlotMap>> for CallAnswer {
    fn from(answer: Answer<SlotMap>) -> Self {
        answer.give(Self::Map)
    }
}

impl From<Answer<()>> for CallAnswer {
    fn from(answer: Answer<()>) -> Self {
        answer.give(|()| Self::Done)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::strategies;

    proptest! {
        /// One method's reply takes an answer that is done, and every one's the rest.
        #[test]
        fn an_answer_is_of_one_call(answer in strategies::peer::call_answer()) {
            let taken = [
                Answer::<Joined>::try_from(answer.clone()).map(CallAnswer::from),
                Answer::<LogIndex>::try_from(answer.clone()).map(CallAnswer::from),
                Answer::<Opened>::try_from(answer.clone()).map(CallAnswer::from),
                Answer::<SlotMap>::try_from(answer.clone()).map(CallAnswer::from),
                Answer::<()>::try_from(answer.clone()).map(CallAnswer::from),
            ];
            let (answer, of_all) = match answer {
                CallAnswer::Failed => (CallAnswer::NotLeader(None), true),
                CallAnswer::NotLeader(_) | CallAnswer::Refused(_) => (answer, true),
                answer => (answer, false),
            };
            let count = taken.iter().flatten().count();
            prop_assert_eq!(count, if of_all { taken.len() } else { 1 });
            prop_assert!(taken.into_iter().flatten().all(|one| one == answer));
        }
    }
}
