//! Where the kernel would grant what must not be granted.

use crate::script::play;

#[test]
fn an_expedite_that_was_adopted_grants_nothing() {
    play(
        r#"
        lock 1 a R NL PERSISTENT      > lkid a(0)
        lock 2 b R CW                 > lkid b(0)
        close 1                       > 0
        rawlkid 3 x 1                 > 0
        conv 3 x PR                   > 0 b!PR
        lock 3 y R NL ORPHAN EXPEDITE > lkid
        lock 4 c R NL                 > lkid
        unlock 4 c                    > 0 c(-DLM_EUNLOCK)
        unlock 2 b                    > 0 b(-DLM_EUNLOCK) y(0)
        "#,
    );
}
