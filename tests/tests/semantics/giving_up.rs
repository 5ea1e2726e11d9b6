//! Unlock and cancel, in every state.

use crate::script::play;

/// Held, waiting, converting.
#[test]
fn unlock_ends_a_lock_in_every_state() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R EX > lkid a!EX
        unlock 2 b    > 0 b(-DLM_EUNLOCK)
        lock 3 c R PR > lkid c(0)
        conv 3 c EX   > 0
        unlock 3 c    > 0 c(-DLM_EUNLOCK)
        unlock 1 a    > 0 a(-DLM_EUNLOCK)
        unlock 1 a    > -ENOENT
        "#,
    );
}

/// So does an unlock without the flag.
#[test]
fn forceunlock_ends_a_lock_that_waits() {
    play(
        r#"
        lock 1 a R PR          > lkid a(0)
        lock 2 b R EX          > lkid a!EX
        unlock 2 b FORCEUNLOCK > 0 b(-DLM_EUNLOCK)
        lock 3 c R PR          > lkid c(0)
        conv 3 c EX            > 0
        unlock 3 c FORCEUNLOCK > 0 c(-DLM_EUNLOCK)
        "#,
    );
}

#[test]
fn cancel_ends_a_request_that_waits() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        lock 2 b R EX > lkid a!EX
        cancel 2 b    > 0 b(-DLM_ECANCEL)
        unlock 2 b    > -ENOENT
        "#,
    );
}

#[test]
fn cancel_of_a_conversion_keeps_the_mode() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R PR > lkid b(0)
        conv 2 b EX   > 0 a!EX
        cancel 2 b    > 0 b(-DLM_ECANCEL)
        conv 2 b CR   > 0 b(0)
        "#,
    );
}

#[test]
fn cancel_of_what_is_held_changes_nothing() {
    play(
        r#"
        lock 1 a R EX         > lkid a(0)
        cancel 1 a            > 0
        lock 2 b R EX NOQUEUE > lkid b(-EAGAIN)
        unlock 1 a            > 0 a(-DLM_EUNLOCK)
        "#,
    );
}

#[test]
fn what_is_given_up_lets_others_pass() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R EX > lkid a!EX
        lock 3 c R PR > lkid
        cancel 2 b    > 0 b(-DLM_ECANCEL) c(0)
        lock 4 d R EX > lkid c!EX
        lock 5 e R PR > lkid
        unlock 4 d    > 0 d(-DLM_EUNLOCK) e(0)
        "#,
    );
}

#[test]
fn a_converting_or_waiting_lock_is_not_converted() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R PR > lkid b(0)
        lock 3 c R EX > lkid b!EX a!EX
        conv 2 b EX   > 0
        conv 2 b CR   > -EBUSY
        conv 3 c PR   > -EBUSY
        "#,
    );
}

#[test]
fn cancel_of_the_lock_that_is_gone_is_refused() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        unlock 1 a    > 0 a(-DLM_EUNLOCK)
        cancel 1 a    > -ENOENT
        conv 1 a PR   > -ENOENT
        "#,
    );
}
