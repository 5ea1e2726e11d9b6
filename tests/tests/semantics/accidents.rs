//! What looks like an accident of the kernel and is kept all the same: programs may have come to count on it.

use crate::script::play;

#[test]
fn a_cancel_is_remembered_until_the_next_conversion() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R PR > lkid b(0)
        conv 2 b EX   > 0 a!EX
        cancel 2 b    > 0 b(-DLM_ECANCEL)
        cancel 2 b    > -EINVAL
        conv 2 b PR   > 0 b(0)
        cancel 2 b    > 0
        "#,
    );
}

#[test]
fn a_forceunlock_given_with_the_request_forbids_it_to_the_unlock() {
    play(
        r#"
        lock 1 a R EX FORCEUNLOCK > lkid a(0)
        unlock 1 a FORCEUNLOCK    > -EINVAL
        unlock 1 a                > 0 a(-DLM_EUNLOCK)
        "#,
    );
}

/// Not with a read that finds no value, either.
#[test]
fn not_valid_is_said_with_what_reads_nothing_and_not_with_a_read_that_does_not_ask() {
    play(
        r#"
        lock 9 w R EX VALBLK > lkid w(0 "")
        conv 9 w NL IVVALBLK > 0 w(0)
        lock 1 a R PR        > lkid a(0)
        lock 2 b R PR VALBLK > lkid b(0 "")
        conv 1 a NL          > 0 a(0 VALNOTVALID)
        conv 2 b NL          > 0 b(0 VALNOTVALID "")
        "#,
    );
}

/// From the next conversion on, which need not carry the flag.
#[test]
fn a_conversion_refused_with_valblk_makes_a_lock_that_stores() {
    play(
        r#"
        lock 9 k R NL VALBLK       > lkid k(0 "")
        lock 1 a R EX              > lkid a(0)
        conv 1 a EX VALBLK CANCEL  > -EINVAL
        unlock 1 a VALBLK lvb=NEWV > 0 a(-DLM_EUNLOCK)
        lock 2 b R EX              > lkid b(0)
        conv 2 b EX VALBLK CANCEL  > -EINVAL
        conv 2 b EX                > 0 b(0)
        unlock 2 b VALBLK lvb=NEWV > 0 b(-DLM_EUNLOCK)
        conv 9 k CR VALBLK         > 0 k(0 "NEWV")
        "#,
    );
}

#[test]
fn unlock_without_valblk_stores_where_the_last_operation_had_it() {
    play(
        r#"
        lock 9 k R NL VALBLK > lkid k(0 "")
        lock 1 a R EX VALBLK > lkid a(0 "")
        unlock 1 a lvb=NEWV  > 0 a(-DLM_EUNLOCK)
        conv 9 k CR VALBLK   > 0 k(0 "NEWV")
        "#,
    );
}

#[test]
fn unlock_with_valblk_stores_nothing_through_a_lock_that_never_had_it() {
    play(
        r#"
        lock 9 k R NL VALBLK       > lkid k(0 "")
        lock 1 a R EX              > lkid a(0)
        unlock 1 a VALBLK lvb=NEWV > 0 a(-DLM_EUNLOCK)
        conv 9 k CR VALBLK         > 0 k(0 "")
        "#,
    );
}

#[test]
fn a_conversion_from_pw_to_ex_reads() {
    play(
        r#"
        lock 1 a R PW VALBLK       > lkid a(0 "")
        conv 1 a PW VALBLK lvb=ONE > 0 a(0)
        conv 1 a EX VALBLK lvb=TWO > 0 a(0 "ONE")
        conv 1 a NL VALBLK lvb=SIX > 0 a(0)
        lock 2 b R NL VALBLK       > lkid b(0 "SIX")
        "#,
    );
}

/// The value does not.
#[test]
fn the_mark_outlives_the_resource_for_ten_seconds() {
    play(
        r#"
        lock 1 a R EX VALBLK        > lkid a(0 "")
        conv 1 a EX VALBLK lvb=INIT > 0 a(0)
        unlock 1 a IVVALBLK         > 0 a(-DLM_EUNLOCK)
        wait 5000                   > 0
        lock 2 b R PR VALBLK        > lkid b(0 "")
        conv 2 b NL                 > 0 b(0 VALNOTVALID "")
        unlock 2 b                  > 0 b(-DLM_EUNLOCK)
        wait 11000                  > 0
        lock 3 c R PR VALBLK        > lkid c(0 "")
        conv 3 c NL                 > 0 c(0 "")
        "#,
    );
}

/// Though nothing is in its way when it comes.
#[test]
fn what_headque_brings_to_the_head_waits_for_the_next_change() {
    play(
        r#"
        lock 1 a R PR         > lkid a(0)
        lock 2 b R EX         > lkid a!EX
        lock 3 c R PR HEADQUE > lkid
        lock 4 d R NL         > lkid
        unlock 2 b            > 0 b(-DLM_EUNLOCK) c(0) d(0)
        "#,
    );
}

/// Though the lock that wants it stands far behind.
#[test]
fn a_holder_is_told_of_the_strongest_mode_that_waits() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        lock 2 b R CR > lkid a!CR
        lock 3 c R PR > lkid a!PR
        lock 4 d R EX > lkid a!EX
        conv 1 a PR   > 0 a(0) b(0) c(0) c!EX b!EX a!EX
        "#,
    );
}

/// A holder of PR that was told of EX is not told of CW, though it gives way to neither.
#[test]
fn weaker_is_the_lower_number() {
    play(
        r#"
        lock 1 a R PR > lkid a(0)
        lock 2 b R EX > lkid a!EX
        lock 3 c R CW > lkid
        "#,
    );
}

#[test]
fn a_conversion_that_waits_for_itself_is_told_of_its_own_mode() {
    play(
        r#"
        lock 1 x R PR        > lkid x(0)
        lock 2 b R PR        > lkid b(0)
        lock 3 m R NL        > lkid m(0)
        lock 4 n R NL        > lkid n(0)
        conv 3 m CW          > 0 b!CW x!CW
        conv 4 n CW          > 0 b!CW x!CW
        conv 1 x EX NODLCKWT > 0 b!EX
        cancel 3 m           > 0 m(-DLM_ECANCEL) x!EX
        "#,
    );
}

#[test]
fn an_alternative_is_withheld_from_a_conversion_that_waits_for_itself() {
    play(
        r#"
        lock 1 x R PR            > lkid x(0)
        lock 2 a R CR            > lkid a(0)
        lock 3 b R PR            > lkid b(0)
        lock 4 n R NL            > lkid n(0)
        conv 4 n CW              > 0 b!CW x!CW
        conv 2 a CW QUECVT ALTPR > 0 b!CW x!CW
        conv 1 x EX NODLCKWT     > 0 b!EX
        cancel 4 n               > 0 n(-DLM_ECANCEL) x!EX
        "#,
    );
}

#[test]
fn adoption_takes_any_flags() {
    play(
        r#"
        lock 1 a R EX PERSISTENT                                       > lkid a(0)
        close 1                                                        > 0
        lock 2 a R EX ORPHAN QUECVT CANCEL CONVDEADLK EXPEDITE NOQUEUE > lkid
        cancel 2 a                                                     > -EINVAL
        "#,
    );
}

/// The events go to who asked for it.
#[test]
fn any_client_may_use_any_lock() {
    play(
        r#"
        lock 1 a R EX > lkid a(0)
        conv 2 a PR   > 0 a(0)
        unlock 2 a    > 0 a(-DLM_EUNLOCK)
        "#,
    );
}
