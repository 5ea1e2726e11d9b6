//! The six lock modes and their tables.
//!
//! The tables are the specification: no code compares modes but through them.

use core::fmt;

/// A lock's mode, from the weakest to the strongest of the VMS lock manager's six.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// Null: interest without any access.
    Nl = 0,
    /// Concurrent read.
    Cr = 1,
    /// Concurrent write (gfs2's "deferred", direct I/O's shared mode).
    Cw = 2,
    /// Protected read (gfs2's "shared").
    Pr = 3,
    /// Protected write.
    Pw = 4,
    /// Exclusive.
    Ex = 5,
}

/// Whether two locks of different owners may be granted at once; row and column are modes.
/// Kronenberg, Levy, Strecker, "VAXclusters" (1986), and fs/dlm's `dlm_modes_compat`.
const COMPATIBLE: [[bool; 6]; 6] = {
    const Y: bool = true;
    const N: bool = false;
    //   NL CR CW PR PW EX
    [
        [Y, Y, Y, Y, Y, Y], // NL
        [Y, Y, Y, Y, Y, N], // CR
        [Y, Y, Y, N, N, N], // CW
        [Y, Y, N, Y, N, N], // PR
        [Y, Y, N, N, N, N], // PW
        [Y, N, N, N, N, N], // EX
    ]
};

impl Mode {
    /// All modes, the weakest first.
    pub const ALL: [Self; 6] = [Self::Nl, Self::Cr, Self::Cw, Self::Pr, Self::Pw, Self::Ex];

    /// Whether a lock of this mode and one of `other` may be granted at once.
    #[must_use]
    pub const fn compatible(self, other: Self) -> bool {
        COMPATIBLE[self as usize][other as usize]
    }

    /// Whether a conversion from `self` to `to` gives something up and takes nothing, so that it can
    /// always be granted: everything compatible with `self` is compatible with `to`.
    #[must_use]
    pub const fn is_down_to(self, to: Self) -> bool {
        let mut other = 0;
        while other < Self::ALL.len() {
            if COMPATIBLE[self as usize][other] && !COMPATIBLE[to as usize][other] {
                return false;
            }
            other += 1;
        }
        true
    }

    /// The mode of this number (fs/dlm's), if there is one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number < 6 {
            Some(Self::ALL[number as usize])
        } else {
            None
        }
    }

    /// The two-letter name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        ["NL", "CR", "CW", "PR", "PW", "EX"][self as usize]
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compatibility_is_symmetric_and_falls_with_strength() {
        for a in Mode::ALL {
            for b in Mode::ALL {
                assert_eq!(a.compatible(b), b.compatible(a), "{a} {b}");
            }
        }
        assert!(Mode::ALL.iter().all(|&other| Mode::Nl.compatible(other)));
        assert!(
            Mode::ALL
                .iter()
                .all(|&other| Mode::Ex.compatible(other) == (other == Mode::Nl))
        );
        assert!(Mode::Cw.compatible(Mode::Cw) && Mode::Pr.compatible(Mode::Pr));
        assert!(
            !Mode::Cw.compatible(Mode::Pr),
            "direct I/O's shared mode excludes plain shared"
        );
    }

    #[test]
    fn only_cw_and_pr_are_in_the_middle() {
        for from in Mode::ALL {
            for to in Mode::ALL {
                let middle = matches!((from, to), (Mode::Cw, Mode::Pr) | (Mode::Pr, Mode::Cw));
                assert_eq!(from.is_down_to(to), to <= from && !middle, "{from} to {to}");
            }
        }
    }
}
