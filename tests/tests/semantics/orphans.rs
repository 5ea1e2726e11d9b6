//! Locks that outlive their owner.

use crate::script::play;

#[test]
fn a_persistent_lock_outlives_its_owner_and_is_adopted() {
    play(
        r#"
        lock 1 a R EX PERSISTENT > lkid a(0)
        close 1                  > 0
        lock 3 q R PR NOQUEUE    > lkid q(-EAGAIN)
        lock 2 a R EX ORPHAN     > lkid
        conv 2 a PR              > 0 a(0)
        unlock 2 a               > 0 a(-DLM_EUNLOCK)
        "#,
    );
}

#[test]
fn an_orphan_is_adopted_in_its_own_mode_only() {
    play(
        r#"
        lock 1 a R EX PERSISTENT > lkid a(0)
        close 1                  > 0
        lock 2 a R PR ORPHAN     > -EAGAIN
        lock 2 b S EX ORPHAN     > -ENOENT
        lock 2 a R EX ORPHAN     > lkid
        "#,
    );
}

#[test]
fn an_orphan_is_told_nothing() {
    play(
        r#"
        lock 1 a R EX PERSISTENT > lkid a(0)
        close 1                  > 0
        lock 3 q R PR            > lkid
        lock 2 a R EX ORPHAN     > lkid
        conv 2 a NL              > 0 a(0) q(0)
        "#,
    );
}

#[test]
fn a_persistent_lock_that_waits_goes_with_its_owner() {
    play(
        r#"
        lock 1 a R EX            > lkid a(0)
        lock 2 b R EX PERSISTENT > lkid a!EX
        close 2                  > 0
        lock 3 c R EX            > lkid
        unlock 1 a               > 0 a(-DLM_EUNLOCK) c(0)
        "#,
    );
}

#[test]
fn a_persistent_lock_that_converts_stays_in_its_old_mode() {
    play(
        r#"
        lock 1 a R CR            > lkid a(0)
        lock 2 b R PR PERSISTENT > lkid b(0)
        conv 2 b EX PERSISTENT   > 0 a!EX
        close 2                  > 0
        lock 3 c R PR NOQUEUE    > lkid c(0)
        lock 5 b R EX ORPHAN     > -EAGAIN
        lock 5 b R PR ORPHAN     > lkid
        "#,
    );
}

/// Whatever was done with it since.
#[test]
fn of_several_orphans_the_one_left_first_is_adopted() {
    play(
        r#"
        lock 1 a R CR PERSISTENT > lkid a(0)
        lock 1 b R CR PERSISTENT > lkid b(0)
        close 1                  > 0
        rawlkid 2 x 1            > 0
        conv 2 x CR              > 0
        lock 2 first R CR ORPHAN > lkid
        rawlkid 9 y 1            > 0
        unlock 9 y               > 0 y(-DLM_EUNLOCK)
        "#,
    );
}

#[test]
fn the_locks_of_a_client_go_one_after_the_other() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 1 b R PR > lkid b(0)
        lock 2 c R EX > lkid b!EX a!EX
        lock 3 d R PR > lkid
        close 1       > 0 c(0) c!PR
        "#,
    );
}
