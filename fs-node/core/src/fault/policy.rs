//! Which rules a direct I/O follows when its buffer lies in mappings of other files.

use core::fmt;
use core::str::FromStr;

/// The policies. They exist to be compared; `Ordered` is the one to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// No order at all: wait for whatever is needed while holding what is held. Deadlocks.
    Block,
    /// gfs2 since Linux 5.16: never fault under the lock; on a miss drop it, fault a window of the
    /// buffer in with no lock held, and try again. Writes end in the buffered path.
    Nofault,
    /// The proposal of May 2023, as bcachefs does it: trylock what is out of order; where that fails
    /// drop the own lock, wait until the other one is free, release it at once, and retry.
    TryCycle,
    /// Ours: as `TryCycle`, but every lock is kept until the I/O ends, so that every cycle makes
    /// progress and their number is bounded.
    Ordered,
}

impl Policy {
    /// All of them, in the order in which they are compared.
    pub const ALL: [Self; 4] = [Self::Block, Self::Nofault, Self::TryCycle, Self::Ordered];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Nofault => "nofault",
            Self::TryCycle => "try-cycle",
            Self::Ordered => "ordered",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The name is none of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPolicy;

impl fmt::Display for UnknownPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy is one of block, nofault, try-cycle, ordered")
    }
}

impl core::error::Error for UnknownPolicy {}

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == text)
            .ok_or(UnknownPolicy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for policy in Policy::ALL {
            assert_eq!(policy.name().parse(), Ok(policy));
        }
        assert_eq!("Ordered".parse::<Policy>(), Err(UnknownPolicy));
    }
}
