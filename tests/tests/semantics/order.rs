//! Who is served first.

use crate::script::play;

#[test]
fn requests_are_granted_in_the_order_they_came() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        lock 2 b R PR > lkid a!PR
        lock 3 c R EX > lkid a!EX
        lock 4 d R PR > lkid
        unlock 1 a    > 0 a(-DLM_EUNLOCK) b(0) b!EX
        unlock 2 b    > 0 b(-DLM_EUNLOCK) c(0) c!PR
        unlock 3 c    > 0 c(-DLM_EUNLOCK) d(0)
        "#,
    );
}

#[test]
fn a_request_waits_behind_a_queue_even_if_it_is_compatible() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R EX > lkid a!EX
        lock 3 c R PR > lkid
        lock 4 d R NL > lkid
        unlock 1 a    > 0 a(-DLM_EUNLOCK) b(0) b!PR
        unlock 2 b    > 0 b(-DLM_EUNLOCK) c(0) d(0)
        "#,
    );
}

#[test]
fn conversions_are_granted_before_requests() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R PR > lkid b(0)
        lock 3 c R EX > lkid b!EX a!EX
        conv 1 a EX   > 0
        unlock 2 b    > 0 b(-DLM_EUNLOCK) a(0) a!EX
        unlock 1 a    > 0 a(-DLM_EUNLOCK) c(0)
        "#,
    );
}

#[test]
fn queued_conversions_are_granted_in_the_order_they_came() {
    play(
        r#"
        lock 1 x R PR > lkid x(0)
        lock 2 a R CR > lkid a(0)
        lock 3 b R CR > lkid b(0)
        conv 2 a PW   > 0 x!PW
        conv 3 b CW   > 0 x!CW
        unlock 1 x    > 0 x(-DLM_EUNLOCK) a(0) a!CW
        unlock 2 a    > 0 a(-DLM_EUNLOCK) b(0)
        "#,
    );
}

#[test]
fn headque_stands_before_all_others() {
    play(
        r#"
        lock 1 a R EX         > lkid a(0)
        lock 2 b R PR         > lkid a!PR
        lock 3 c R EX HEADQUE > lkid a!EX
        lock 4 d R EX HEADQUE > lkid
        unlock 1 a            > 0 a(-DLM_EUNLOCK) d(0) d!EX
        unlock 4 d            > 0 d(-DLM_EUNLOCK) c(0) c!PR
        unlock 3 c            > 0 c(-DLM_EUNLOCK) b(0)
        "#,
    );
}

#[test]
fn headque_stands_before_other_conversions() {
    play(
        r#"
        lock 1 x R PR       > lkid x(0)
        lock 2 a R CR       > lkid a(0)
        lock 3 b R CR       > lkid b(0)
        conv 2 a PW         > 0 x!PW
        conv 3 b CW HEADQUE > 0 x!CW
        unlock 1 x          > 0 x(-DLM_EUNLOCK) b(0) b!PW
        "#,
    );
}

/// On arrival, and from within the queue.
#[test]
fn noorder_is_granted_out_of_turn() {
    play(
        r#"
        lock 1 a R EX         > lkid a(0)
        lock 2 b R EX         > lkid a!EX
        lock 3 c R PR NOORDER > lkid
        lock 4 d R PR         > lkid
        conv 1 a PR           > 0 a(0) c(0) c!EX a!EX
        lock 5 e R PR NOORDER > lkid e(0)
        "#,
    );
}

#[test]
fn expedite_is_granted_whatever_waits() {
    play(
        r#"
        lock 1 a R PR          > lkid a(0)
        lock 2 b R EX          > lkid a!EX
        lock 3 c R NL          > lkid
        lock 4 d R NL EXPEDITE > lkid d(0)
        "#,
    );
}

/// Conversions from the head of their queue, then requests from the head of theirs.
#[test]
fn a_release_grants_all_that_it_can() {
    play(
        r#"
        lock 1 x R EX > lkid x(0)
        lock 2 a R NL > lkid a(0)
        lock 3 b R NL > lkid b(0)
        conv 2 a PR   > 0 x!PR
        conv 3 b PR   > 0
        lock 4 c R PR > lkid
        lock 5 d R EX > lkid x!EX
        lock 6 e R PR > lkid
        unlock 1 x    > 0 x(-DLM_EUNLOCK) a(0) b(0) c(0) c!EX b!EX a!EX
        "#,
    );
}

#[test]
fn what_is_granted_on_arrival_changes_nothing_for_the_queue() {
    play(
        r#"
        lock 1 a R CR         > lkid a(0)
        lock 2 b R EX         > lkid a!EX
        lock 3 c R PR NOORDER > lkid c(0)
        unlock 3 c            > 0 c(-DLM_EUNLOCK)
        unlock 1 a            > 0 a(-DLM_EUNLOCK) b(0)
        "#,
    );
}
