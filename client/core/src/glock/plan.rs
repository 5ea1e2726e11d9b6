//! What a change of state needs: the hooks before it and the lock manager's flags. The tables are the
//! specification.

use dlm_core::RequestFlags;

use super::flags::HolderFlags;
use super::state::State;

/// The hooks that run before the lock manager hears of a change, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Write back what is dirty.
    pub(crate) sync: bool,
    /// Drop what may not be cached any more.
    pub(crate) invalidate: bool,
}

const NO: Plan = Plan {
    sync: false,
    invalidate: false,
};
const SYNC: Plan = Plan {
    sync: true,
    invalidate: false,
};
const DROP: Plan = Plan {
    sync: false,
    invalidate: true,
};
const BOTH: Plan = Plan {
    sync: true,
    invalidate: true,
};

/// Row: the state that is left; column: the state to come (gfs2's transition summary for inodes).
///
/// gfs2 calls its sync hook before every change and lets it find nothing dirty; only EX can be dirty,
/// so ours is called when EX is left and never else.
const PLANS: [[Plan; 4]; 4] = [
    //  UN    SH    DF    EX
    [NO, NO, NO, NO],       // UN: nothing is cached
    [DROP, NO, DROP, NO],   // SH: clean data and metadata
    [DROP, NO, NO, NO],     // DF: metadata
    [BOTH, SYNC, BOTH, NO], // EX: dirty data and metadata
];

const fn index(state: State) -> usize {
    match state {
        State::Un => 0,
        State::Sh => 1,
        State::Df => 2,
        State::Ex => 3,
    }
}

/// The hooks before the change from `from` to `to`.
pub(crate) const fn plan(from: State, to: State) -> Plan {
    PLANS[index(from)][index(to)]
}

/// The flags of the message that asks for `to` on behalf of a holder with `flags`.
///
/// As in gfs2: a try does not queue at the master; a conversion that takes something and may wait
/// stands behind the conversions before it.
pub(crate) fn promote_flags(
    linked: bool,
    from: State,
    to: State,
    flags: HolderFlags,
) -> RequestFlags {
    if flags.contains(HolderFlags::TRY_1CB) {
        RequestFlags::NOQUEUE | RequestFlags::NOQUEUEBAST
    } else if flags.contains(HolderFlags::TRY) {
        RequestFlags::NOQUEUE
    } else if linked && !from.mode().is_down_to(to.mode()) {
        RequestFlags::QUECVT
    } else {
        RequestFlags::empty()
    }
}

/// The flags of the message that demotes to `to`.
///
/// A demotion never waits for anybody: nearly all are downward and granted at once, and one sideways
/// (SH and DF) that cannot be granted now goes to UN instead. gfs2 lets it wait at the master, where it
/// makes local tries wait for the holders of other nodes.
pub(crate) fn demote_flags(from: State, to: State) -> RequestFlags {
    if from.mode().is_down_to(to.mode()) {
        RequestFlags::empty()
    } else {
        RequestFlags::NOQUEUE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [State; 4] = [State::Un, State::Sh, State::Df, State::Ex];

    #[test]
    fn leaving_ex_writes_back_and_nothing_else_does() {
        for from in ALL {
            for to in ALL {
                assert_eq!(
                    plan(from, to).sync,
                    from == State::Ex && to != State::Ex,
                    "{from} {to}"
                );
            }
        }
    }

    #[test]
    fn data_is_dropped_whenever_it_may_not_be_cached_any_more() {
        let caches_data = |s: State| matches!(s, State::Sh | State::Ex);
        let caches_metadata = |s: State| s != State::Un;
        for from in ALL {
            for to in ALL {
                let drops = (caches_data(from) && !caches_data(to))
                    || (caches_metadata(from) && !caches_metadata(to));
                assert_eq!(plan(from, to).invalidate, drops, "{from} {to}");
            }
        }
    }

    #[test]
    fn only_a_promotion_that_is_no_try_may_wait_at_the_master() {
        use HolderFlags as H;
        assert_eq!(
            promote_flags(true, State::Sh, State::Ex, H::TRY_1CB),
            RequestFlags::NOQUEUE | RequestFlags::NOQUEUEBAST
        );
        assert_eq!(
            promote_flags(true, State::Sh, State::Ex, H::TRY),
            RequestFlags::NOQUEUE
        );
        assert_eq!(
            promote_flags(true, State::Sh, State::Ex, H::empty()),
            RequestFlags::QUECVT
        );
        assert_eq!(
            promote_flags(false, State::Un, State::Ex, H::empty()),
            RequestFlags::empty()
        );
        assert_eq!(
            promote_flags(true, State::Ex, State::Sh, H::EXACT),
            RequestFlags::empty()
        );
        assert_eq!(demote_flags(State::Sh, State::Df), RequestFlags::NOQUEUE);
        assert_eq!(demote_flags(State::Ex, State::Df), RequestFlags::empty());
    }
}
