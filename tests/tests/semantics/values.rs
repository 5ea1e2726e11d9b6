//! Value blocks: what moves them and what makes them not valid.

use crate::script::play;

#[test]
fn a_value_written_is_read() {
    play(
        r#"
        lock 1 a R EX VALBLK       > lkid a(0 "")
        conv 1 a NL VALBLK lvb=ONE > 0 a(0)
        lock 2 b R PR VALBLK       > lkid b(0 "ONE")
        lock 3 c R PR              > lkid c(0)
        "#,
    );
}

#[test]
fn a_value_never_written_is_zeros() {
    play(
        r#"
        lock 1 a R PR VALBLK > lkid a(0 "")
        lock 2 b R NL VALBLK > lkid b(0 "")
        "#,
    );
}

#[test]
fn a_queued_grant_reads_what_is_there_by_then() {
    play(
        r#"
        lock 9 w R EX VALBLK          > lkid w(0 "")
        lock 1 a R PR VALBLK lvb=JUNK > lkid w!PR
        conv 9 w NL VALBLK lvb=WRIT   > 0 w(0) a(0 "WRIT")
        "#,
    );
}

#[test]
fn unlock_stores_from_pw_and_ex() {
    play(
        r#"
        lock 9 k R NL             > lkid k(0)
        lock 1 a R PW VALBLK      > lkid a(0 "")
        unlock 1 a VALBLK lvb=ONE > 0 a(-DLM_EUNLOCK)
        lock 2 b R EX VALBLK      > lkid b(0 "ONE")
        unlock 2 b VALBLK lvb=TWO > 0 b(-DLM_EUNLOCK)
        lock 3 c R PR VALBLK      > lkid c(0 "TWO")
        unlock 3 c VALBLK lvb=SIX > 0 c(-DLM_EUNLOCK)
        lock 4 d R PR VALBLK      > lkid d(0 "TWO")
        "#,
    );
}

#[test]
fn ivvalblk_marks_the_value_until_one_is_stored() {
    play(
        r#"
        lock 1 a R EX VALBLK        > lkid a(0 "")
        conv 1 a NL VALBLK lvb=INIT > 0 a(0)
        conv 1 a EX                 > 0 a(0 "")
        conv 1 a NL IVVALBLK        > 0 a(0)
        lock 2 b R PR VALBLK        > lkid b(0 VALNOTVALID "INIT")
        unlock 2 b                  > 0 b(-DLM_EUNLOCK)
        conv 1 a EX VALBLK          > 0 a(0 VALNOTVALID "INIT")
        conv 1 a NL VALBLK lvb=GOOD > 0 a(0)
        lock 3 c R PR VALBLK        > lkid c(0 "GOOD")
        "#,
    );
}

#[test]
fn ivvalblk_below_pw_does_nothing() {
    play(
        r#"
        lock 9 w R EX VALBLK        > lkid w(0 "")
        conv 9 w NL VALBLK lvb=INIT > 0 w(0)
        lock 1 a R PR IVVALBLK      > lkid a(0)
        unlock 1 a IVVALBLK         > 0 a(-DLM_EUNLOCK)
        lock 2 r R NL VALBLK        > lkid r(0 "INIT")
        "#,
    );
}

#[test]
fn ivvalblk_and_valblk_together_mark_and_do_not_store() {
    play(
        r#"
        lock 9 k R NL                       > lkid k(0)
        lock 1 a R EX VALBLK                > lkid a(0 "")
        conv 1 a EX VALBLK lvb=INIT         > 0 a(0)
        unlock 1 a VALBLK IVVALBLK lvb=NEWV > 0 a(-DLM_EUNLOCK)
        lock 2 r R NL VALBLK                > lkid r(0 VALNOTVALID "INIT")
        "#,
    );
}

/// A reader does not.
#[test]
fn a_writer_that_is_lost_leaves_a_value_that_is_not_valid() {
    play(
        r#"
        lock 9 w R EX VALBLK        > lkid w(0 "")
        conv 9 w NL VALBLK lvb=INIT > 0 w(0)
        lock 1 a R PR VALBLK        > lkid a(0 "INIT")
        close 1                     > 0
        lock 2 b R NL VALBLK        > lkid b(0 "INIT")
        lock 3 c R PW               > lkid c(0)
        close 3                     > 0
        lock 4 d R NL VALBLK        > lkid d(0 VALNOTVALID "INIT")
        "#,
    );
}

#[test]
fn the_value_goes_with_the_last_lock() {
    play(
        r#"
        lock 1 a R EX VALBLK       > lkid a(0 "")
        unlock 1 a VALBLK lvb=KEEP > 0 a(-DLM_EUNLOCK)
        lock 2 b R PR VALBLK       > lkid b(0 "")
        "#,
    );
}

#[test]
fn a_failed_or_cancelled_operation_moves_no_value() {
    play(
        r#"
        lock 9 w R PR VALBLK                  > lkid w(0 "")
        lock 1 a R EX VALBLK NOQUEUE lvb=JUNK > lkid a(-EAGAIN)
        lock 1 b R PR VALBLK                  > lkid b(0 "")
        conv 1 b EX VALBLK lvb=JUNK           > 0 w!EX
        cancel 1 b                            > 0 b(-DLM_ECANCEL)
        lock 2 r R NL VALBLK                  > lkid r(0 "")
        "#,
    );
}
