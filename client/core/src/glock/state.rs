//! The four states of a glock, and which lock modes they are.

use core::fmt;

use dlm_core::Mode;

/// What a node may do under a glock. The words and the mapping to lock modes are gfs2's.
///
/// The order of the variants is no order of strength: `Df` and `Sh` exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Unlocked: nothing may be cached (NL).
    Un,
    /// Shared: clean data and metadata may be cached (PR).
    Sh,
    /// Deferred: direct I/O's shared state; metadata may be cached, data may not (CW).
    Df,
    /// Exclusive: everything may be cached, dirty too (EX).
    Ex,
}

impl State {
    /// The lock mode that stands for this state in the cluster.
    #[must_use]
    pub const fn mode(self) -> Mode {
        match self {
            Self::Un => Mode::Nl,
            Self::Sh => Mode::Pr,
            Self::Df => Mode::Cw,
            Self::Ex => Mode::Ex,
        }
    }

    /// The state that a lock mode stands for, if it stands for one: no glock asks for CR or PW.
    #[must_use]
    pub const fn of_mode(mode: Mode) -> Option<Self> {
        match mode {
            Mode::Nl => Some(Self::Un),
            Mode::Pr => Some(Self::Sh),
            Mode::Cw => Some(Self::Df),
            Mode::Ex => Some(Self::Ex),
            Mode::Cr | Mode::Pw => None,
        }
    }

    /// The state to demote to, so that a lock of `wanted` can be granted to somebody else
    /// (gfs2: a callback for EX asks for UN, for CW asks for DF, for PR asks for SH).
    #[must_use]
    pub const fn demote_for(wanted: Mode) -> Self {
        match wanted {
            Mode::Pr | Mode::Cr | Mode::Nl => Self::Sh,
            Mode::Cw => Self::Df,
            Mode::Pw | Mode::Ex => Self::Un,
        }
    }

    /// Whether a glock held in `self` allows what `wanted` allows. EX covers all; SH and DF cover
    /// themselves only; every state covers UN.
    #[must_use]
    pub const fn covers(self, wanted: Self) -> bool {
        matches!(
            (self, wanted),
            (_, Self::Un) | (Self::Ex, _) | (Self::Sh, Self::Sh) | (Self::Df, Self::Df)
        )
    }

    /// The weakest state that covers both: what a task needs that needs both.
    #[must_use]
    pub const fn join(self, other: Self) -> Self {
        if self.covers(other) {
            self
        } else if other.covers(self) {
            other
        } else {
            Self::Ex
        }
    }

    /// The two-letter name that gfs2 prints.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Un => "UN",
            Self::Sh => "SH",
            Self::Df => "DF",
            Self::Ex => "EX",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    const ALL: [State; 4] = [State::Un, State::Sh, State::Df, State::Ex];

    #[test]
    fn a_state_that_covers_another_excludes_at_least_as_much() {
        for a in ALL {
            for b in ALL {
                if a.covers(b) {
                    assert!(
                        Mode::ALL
                            .iter()
                            .all(|&m| !a.mode().compatible(m) || b.mode().compatible(m)),
                        "{a} {b}"
                    );
                }
                assert!(a.join(b).covers(a) && a.join(b).covers(b));
                assert_eq!(a.join(b), b.join(a));
            }
        }
        assert_eq!(State::Sh.join(State::Df), State::Ex);
    }

    #[test]
    fn a_mode_stands_for_the_state_that_stands_for_it() {
        let states: Vec<State> = Mode::ALL.into_iter().filter_map(State::of_mode).collect();
        let modes: Vec<Mode> = states.iter().map(|state| state.mode()).collect();
        assert_eq!(modes, [Mode::Nl, Mode::Cw, Mode::Pr, Mode::Ex]);
    }

    #[test]
    fn a_demotion_makes_room_for_what_was_asked() {
        for wanted in [Mode::Pr, Mode::Cw, Mode::Ex] {
            assert!(
                State::demote_for(wanted).mode().compatible(wanted),
                "{wanted}"
            );
        }
    }
}
