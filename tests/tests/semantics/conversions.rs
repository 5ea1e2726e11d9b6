//! Another mode for a lock that is held, and the conversion deadlock.

use crate::script::play;

#[test]
fn a_conversion_is_granted_in_place_past_all_that_wait() {
    play(
        r#"
        lock 1 x R CR > lkid x(0)
        lock 2 a R NL > lkid a(0)
        lock 3 b R NL > lkid b(0)
        lock 4 c R EX > lkid x!EX
        conv 2 a EX   > 0
        conv 3 b CR   > 0 b(0) b!EX
        "#,
    );
}

#[test]
fn quecvt_queues_behind_conversions() {
    play(
        r#"
        lock 1 x R CR      > lkid x(0)
        lock 2 a R NL      > lkid a(0)
        lock 3 b R NL      > lkid b(0)
        conv 2 a EX        > 0 x!EX
        conv 3 b CR QUECVT > 0
        unlock 1 x         > 0 x(-DLM_EUNLOCK) a(0) a!CR
        unlock 2 a         > 0 a(-DLM_EUNLOCK) b(0)
        "#,
    );
}

#[test]
fn quecvt_changes_nothing_where_no_conversion_waits() {
    play(
        r#"
        lock 1 x R CR      > lkid x(0)
        lock 2 a R NL      > lkid a(0)
        lock 3 c R EX      > lkid x!EX
        conv 2 a PW QUECVT > 0 a(0) a!EX
        "#,
    );
}

#[test]
fn a_converting_lock_goes_on_holding_its_mode() {
    play(
        r#"
        lock 1 x R PR       > lkid x(0)
        lock 2 a R PR       > lkid a(0)
        lock 3 b R NL       > lkid b(0)
        conv 2 a EX         > 0 x!EX
        conv 3 b CW NOQUEUE > 0 b(-EAGAIN)
        conv 3 b PR NOQUEUE > 0 b(0) b!EX
        "#,
    );
}

#[test]
fn a_conversion_downwards_is_granted_and_grants_others() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        lock 2 b R PR > lkid a!PR
        conv 1 a PR   > 0 a(0) b(0)
        "#,
    );
}

/// It keeps its mode, and the other one goes on.
#[test]
fn of_two_conversions_that_wait_for_each_other_the_later_one_is_refused() {
    play(
        r#"
        lock 1 a R PR         > lkid a(0)
        lock 2 b R PR         > lkid b(0)
        conv 1 a EX           > 0 b!EX
        conv 2 b EX           > 0 b(-EDEADLK)
        lock 3 c R PR NOQUEUE > lkid c(-EAGAIN)
        unlock 2 b            > 0 b(-DLM_EUNLOCK) a(0)
        "#,
    );
}

#[test]
fn convdeadlk_gives_its_mode_up() {
    play(
        r#"
        lock 1 a R PR          > lkid a(0)
        lock 2 b R PR          > lkid b(0)
        conv 1 a EX            > 0 b!EX
        conv 2 b EX CONVDEADLK > 0 a(0) a!EX
        unlock 1 a             > 0 a(-DLM_EUNLOCK) b(0 DEMOTED)
        "#,
    );
}

#[test]
fn nodlckwt_waits_in_the_deadlock() {
    play(
        r#"
        lock 1 a R PR        > lkid a(0)
        lock 2 b R PR        > lkid b(0)
        conv 1 a EX          > 0 b!EX
        conv 2 b EX NODLCKWT > 0
        cancel 2 b           > 0 b(-DLM_ECANCEL)
        unlock 2 b           > 0 b(-DLM_EUNLOCK) a(0)
        "#,
    );
}

#[test]
fn the_flags_of_the_first_conversion_do_not_help_the_second() {
    play(
        r#"
        lock 1 a R PR          > lkid a(0)
        lock 2 b R PR          > lkid b(0)
        conv 1 a EX CONVDEADLK > 0 b!EX
        conv 2 b EX            > 0 b(-EDEADLK)
        conv 2 b EX HEADQUE    > 0 b(-EDEADLK)
        conv 2 b EX QUECVT     > 0 b(-EDEADLK)
        "#,
    );
}

#[test]
fn noqueue_meets_no_deadlock() {
    play(
        r#"
        lock 1 a R PR       > lkid a(0)
        lock 2 b R PR       > lkid b(0)
        conv 1 a EX         > 0 b!EX
        conv 2 b EX NOQUEUE > 0 b(-EAGAIN)
        "#,
    );
}

#[test]
fn two_conversions_of_which_one_can_be_granted_are_no_deadlock() {
    play(
        r#"
        lock 1 a R CR > lkid a(0)
        lock 2 b R PR > lkid b(0)
        conv 1 a EX   > 0 b!EX
        conv 2 b PW   > 0 b(0) b!EX
        unlock 2 b    > 0 b(-DLM_EUNLOCK) a(0)
        "#,
    );
}

/// It is a matter of the deadlock search.
#[test]
fn a_deadlock_over_two_resources_is_not_refused() {
    play(
        r#"
        lock 1 a R1 EX > lkid a(0)
        lock 2 b R2 EX > lkid b(0)
        lock 1 c R2 EX > lkid b!EX
        lock 2 d R1 EX > lkid a!EX
        "#,
    );
}

#[test]
fn each_later_conversion_is_demoted_and_the_first_is_granted() {
    play(
        r#"
        lock 1 a R PR          > lkid a(0)
        lock 2 b R PR          > lkid b(0)
        lock 3 c R PR          > lkid c(0)
        conv 1 a EX CONVDEADLK > 0 c!EX b!EX
        conv 2 b EX CONVDEADLK > 0
        conv 3 c EX CONVDEADLK > 0 a(0) a!EX
        unlock 1 a             > 0 a(-DLM_EUNLOCK) b(0 DEMOTED) b!EX
        "#,
    );
}
