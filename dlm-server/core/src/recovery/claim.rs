//! What a client claims in a recovery: one lock, as far as the client was told.
//!
//! A client claims its locks in the order in which it asked for them. What it sent and was not answered
//! it claims so:
//!
//! | sent and not answered | the claim |
//! |---|---|
//! | a request, a conversion up | [`Stands::Waiting`], [`Stands::Converting`] with the mode as before |
//! | either with `NOQUEUE` | none, or [`Stands::Granted`] in what [`surely_held`] says; it is sent again |
//! | a request with `ORPHAN` | none; it is sent again |
//! | a conversion down | [`Stands::Granted`] in the new mode, with the operation |
//! | an unlock | [`Stands::Unlocked`] |
//! | a conversion from PR to CW or back | [`Stands::Converting`] that holds CR |
//! | a conversion up with `CONVDEADLK` | [`Stands::Converting`] that holds NL |
//! | a conversion up from PW with `ALTPR`, `ALTCW` | [`Stands::Converting`] that holds that mode |
//! | a cancel | as if it had not been sent; it is sent again |
//!
//! An operation that was answered with its position only ([`Output::Queued`](crate::Output::Queued)) is
//! not answered; its claim has the position. Every operation that a claim names is answered by the new
//! master.

use crate::flags::RequestFlags;
use crate::ids::{LockId, LockspaceId, OpId, Owner, ResourceName, Token};
use crate::mode::Mode;
use crate::value::ValueBlock;

/// One lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its number in the session.
    pub lock: LockId,
    /// The lockspace of its resource.
    pub lockspace: LockspaceId,
    /// Its resource.
    pub name: ResourceName,
    /// The task that asked last.
    pub owner: Owner,
    /// The flags of the last request or conversion, and of every unlock and cancel since.
    pub flags: RequestFlags,
    /// Where it stands.
    pub stands: Stands,
    /// The mode that it has by the last answer. What it claims to hold is that or weaker.
    pub granted: Option<Mode>,
    /// The token of the grant of that mode; zero where there is none.
    pub token: Token,
    /// Whether its owner is gone and nobody adopted it.
    pub orphan: bool,
    /// Whether `VALBLK` was ever asked for on it.
    pub uses_values: bool,
    /// The number of the resource's value as of the last answer, or one more where an operation that
    /// stores a value, or marks it as not valid, was not answered.
    pub value_sequence: u64,
    /// The value that was last read or stored through this lock.
    pub value: Option<KnownValue>,
}

/// A value as a client knows it: read, or stored, with the number that the answer named; not valid where
/// the answer said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownValue {
    /// Its number.
    pub sequence: u64,
    /// Its bytes.
    pub bytes: ValueBlock,
    /// Whether it was said to be valid.
    pub valid: bool,
}

/// Where a claimed lock stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It is held.
    Granted {
        /// In this mode.
        mode: Mode,
        /// The conversion down to it, where that was not answered.
        unanswered: Option<OpId>,
    },
    /// It is held and wants another mode.
    Converting {
        /// The mode that it surely holds.
        held: Mode,
        /// The mode that it wants.
        wanted: Mode,
        /// The conversion.
        op: OpId,
        /// Its position, where it was told one.
        serial: Option<u64>,
        /// The value that came with the conversion, from PW or EX.
        given: Option<ValueBlock>,
    },
    /// It wants to be held.
    Waiting {
        /// In this mode.
        wanted: Mode,
        /// The request.
        op: OpId,
        /// Its position, where it was told one.
        serial: Option<u64>,
    },
    /// It was given up.
    Unlocked {
        /// By this operation.
        op: OpId,
        /// The operation that it waited for, which ends with it.
        ends: Option<OpId>,
    },
}

/// The mode that a lock surely holds whose conversion from `held` to `wanted` was sent and not answered:
/// what `held` and every mode that it may have been granted meanwhile have in common, and nothing where
/// it may have been demoted. `held` itself, where all that may have been granted is stronger.
///
/// A conversion down ([`Mode::is_down_to`]) is claimed in the new mode, and not asked about here. One with
/// `NOQUEUE` claims to hold this mode too, and is sent again.
#[must_use]
pub fn surely_held(held: Mode, wanted: Mode, flags: RequestFlags) -> Mode {
    if flags.contains(RequestFlags::CONVDEADLK) {
        return Mode::Nl;
    }
    let alternatives = [
        (RequestFlags::ALTPR, Mode::Pr),
        (RequestFlags::ALTCW, Mode::Cw),
    ];
    let alternatives = alternatives
        .into_iter()
        .filter(|&(flag, _)| flags.contains(flag));
    let alternatives = alternatives.map(|(_, mode)| mode);
    let may_be = || alternatives.clone().chain([held, wanted]);
    let in_common = |mode: &Mode| may_be().all(|other| other.is_down_to(*mode));
    Mode::ALL
        .into_iter()
        .rev()
        .find(in_common)
        .unwrap_or(Mode::Nl)
}

impl Claim {
    /// The mode that it holds.
    #[must_use]
    pub const fn held(&self) -> Option<Mode> {
        match self.stands {
            Stands::Granted { mode, .. } => Some(mode),
            Stands::Converting { held, .. } => Some(held),
            Stands::Waiting { .. } | Stands::Unlocked { .. } => None,
        }
    }

    /// Whether what it holds was granted under its token, and not something stronger.
    pub(super) fn is_sure(&self) -> bool {
        self.granted == self.held()
    }

    /// The position that it was told, where it waits.
    #[must_use]
    pub const fn serial(&self) -> Option<u64> {
        match self.stands {
            Stands::Converting { serial, .. } | Stands::Waiting { serial, .. } => serial,
            Stands::Granted { .. } | Stands::Unlocked { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RequestFlags as F;

    #[test]
    fn what_is_surely_held_is_what_all_outcomes_have_in_common() {
        let none = F::empty();
        for (held, wanted, flags, expected) in [
            (Mode::Pr, Mode::Ex, none, Mode::Pr),
            (Mode::Pr, Mode::Cw, none, Mode::Cr),
            (Mode::Cw, Mode::Pr, none, Mode::Cr),
            (Mode::Pr, Mode::Ex, F::CONVDEADLK, Mode::Nl),
            (Mode::Pw, Mode::Ex, F::ALTPR, Mode::Pr),
            (Mode::Cw, Mode::Ex, F::ALTPR, Mode::Cr),
            (Mode::Nl, Mode::Ex, F::ALTPR, Mode::Nl),
        ] {
            let surely = surely_held(held, wanted, flags);
            assert_eq!(surely, expected, "{held} to {wanted} {flags:?}");
        }
    }
}
