//! New locks: what each flag does.

use crate::script::play;

#[test]
fn noqueue_fails_instead_of_waiting() {
    play(
        r#"
        lock 1 a R PR         > lkid a(0)
        lock 2 b R EX NOQUEUE > lkid b(-EAGAIN)
        lock 2 c R PR NOQUEUE > lkid c(0)
        unlock 1 a            > 0 a(-DLM_EUNLOCK)
        unlock 2 b            > 0 b(-DLM_EUNLOCK)
        "#,
    );
}

#[test]
fn noqueue_fails_behind_a_queue_even_if_it_is_compatible() {
    play(
        r#"
        lock 1 a R PR                 > lkid a(0)
        lock 2 b R EX                 > lkid a!EX
        lock 3 c R PR NOQUEUE         > lkid c(-EAGAIN)
        lock 4 d R PR NOQUEUE HEADQUE > lkid d(-EAGAIN)
        lock 5 e R PR NOQUEUE NOORDER > lkid e(0)
        "#,
    );
}

#[test]
fn a_failed_conversion_keeps_its_mode() {
    play(
        r#"
        lock 1 a R PR         > lkid a(0)
        lock 2 b R PR         > lkid b(0)
        conv 2 b EX NOQUEUE   > 0 b(-EAGAIN)
        lock 3 c R CW NOQUEUE > lkid c(-EAGAIN)
        "#,
    );
}

#[test]
fn an_alternative_is_granted_where_the_mode_is_not() {
    play(
        r#"
        lock 1 a R PR               > lkid a(0)
        lock 2 b R EX ALTPR         > lkid b(0 ALTMODE)
        lock 3 c R CW ALTPR NOQUEUE > lkid c(0 ALTMODE)
        lock 4 d R EX ALTCW NOQUEUE > lkid d(-EAGAIN)
        lock 5 e S CW               > lkid e(0)
        lock 6 f S EX ALTCW         > lkid f(0 ALTMODE)
        "#,
    );
}

#[test]
fn an_alternative_is_no_second_chance_where_the_mode_is_granted() {
    play(
        r#"
        lock 1 a R CR       > lkid a(0)
        lock 2 b R PR ALTPR > lkid b(0)
        lock 3 c R PW ALTPR > lkid c(0 ALTMODE)
        "#,
    );
}

#[test]
fn a_queued_lock_takes_the_alternative_when_its_turn_comes() {
    play(
        r#"
        lock 1 a R EX       > lkid a(0)
        lock 2 b R EX ALTPR > lkid a!EX
        conv 1 a PR         > 0 a(0) b(0 ALTMODE)
        "#,
    );
}

/// But for a lock that wants PR.
#[test]
fn of_two_alternatives_pr_is_the_one() {
    play(
        r#"
        lock 1 a R CW                     > lkid a(0)
        lock 2 b R EX ALTPR ALTCW NOQUEUE > lkid b(-EAGAIN)
        lock 3 c R PR ALTPR ALTCW NOQUEUE > lkid c(0 ALTMODE)
        "#,
    );
}

#[test]
fn bits_without_a_meaning_do_nothing() {
    play(
        r#"
        lock 1 a R EX NODLCKBLK TIMEOUT   > lkid a(0)
        lock 2 b R EX 0x80000             > lkid a!EX
        lock 3 c R NL 0x80000000 EXPEDITE > lkid c(0)
        conv 1 a PR 0x40000000            > 0 a(0) a!EX
        unlock 1 a 0x80000                > -EINVAL
        "#,
    );
}

#[test]
fn a_process_excludes_itself() {
    play(
        r#"
        lock 1 a R EX         > lkid a(0)
        lock 1 b R EX NOQUEUE > lkid b(-EAGAIN)
        lock 1 c R PR         > lkid a!PR
        "#,
    );
}
