//! Blocking callbacks: who is told, of which mode, how often.

use crate::script::play;

/// Not those that are not.
#[test]
fn holders_in_the_way_are_told_the_newest_first() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R PR > lkid b(0)
        lock 3 c R CR > lkid c(0)
        lock 4 d R NL > lkid d(0)
        lock 5 e R PW > lkid b!PW a!PW
        lock 6 f R EX > lkid c!EX b!EX a!EX
        "#,
    );
}

#[test]
fn a_holder_is_told_again_of_a_stronger_mode_only() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        lock 2 b R CR > lkid a!CR
        lock 3 c R PR > lkid a!PR
        lock 4 d R PW > lkid a!PW
        lock 5 e R EX > lkid a!EX
        lock 6 f R CR > lkid
        "#,
    );
}

#[test]
fn a_grant_forgets_what_was_told() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        lock 2 b R PR > lkid a!PR
        conv 1 a EX   > 0 a(0) a!PR
        lock 3 c R PR > lkid
        "#,
    );
}

#[test]
fn a_new_holder_is_told_of_who_waits() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        lock 2 b R PR > lkid a!PR
        lock 3 c R EX > lkid a!EX
        unlock 1 a    > 0 a(-DLM_EUNLOCK) b(0) b!EX
        "#,
    );
}

#[test]
fn a_converting_lock_is_not_told() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R PR > lkid b(0)
        conv 1 a EX   > 0 b!EX
        lock 4 d R EX > lkid
        unlock 2 b    > 0 b(-DLM_EUNLOCK) a(0) a!EX
        "#,
    );
}

#[test]
fn noqueue_tells_nobody_unless_noqueuebast() {
    play(
        r#"
        lock 1 a R PR                     > lkid a(0)
        lock 2 b R EX NOQUEUE             > lkid b(-EAGAIN)
        lock 3 c R EX NOQUEUE NOQUEUEBAST > lkid c(-EAGAIN) a!EX
        lock 4 d R EX NOQUEUE NOQUEUEBAST > lkid d(-EAGAIN)
        "#,
    );
}

#[test]
fn noqueuebast_tells_converting_locks_too() {
    play(
        r#"
        lock 1 a R PR                     > lkid a(0)
        lock 2 b R PR                     > lkid b(0)
        conv 1 a EX                       > 0 b!EX
        lock 3 c R EX NOQUEUE NOQUEUEBAST > lkid c(-EAGAIN) a!EX
        "#,
    );
}

#[test]
fn pr_and_cw_are_told_of_each_other_until_ex() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R CW > lkid a!CW
        lock 3 c R CW > lkid a!CW
        lock 4 d R EX > lkid a!EX
        lock 5 e R CW > lkid
        "#,
    );
}

#[test]
fn a_cancelled_wait_is_not_told_again() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        lock 2 b R PR > lkid a!PR
        cancel 2 b    > 0 b(-DLM_ECANCEL)
        lock 3 c R PR > lkid
        cancel 3 c    > 0 c(-DLM_ECANCEL)
        lock 4 d R EX > lkid a!EX
        "#,
    );
}
