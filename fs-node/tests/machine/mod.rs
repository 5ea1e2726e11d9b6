//! What these tests need of the machine; as `tests/src/machine.rs`, which this crate cannot import.

use std::io::Write;

/// Whether userfaultfd can be had; a test that gets `false` returns.
pub(crate) fn has_userfaultfd() -> bool {
    let Err(error) = fs_node::userfaultfd_available() else {
        return true;
    };
    let required = std::env::var("GLOCKWORK_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == "uffd");
    assert!(
        !is_required,
        "GLOCKWORK_REQUIRE names uffd, and it is missing: {error}"
    );
    // Written past the test harness, which keeps what a passing test prints to itself.
    let _ = writeln!(
        std::io::stderr(),
        "\n*** SKIPPED, uffd is missing: {error}\n"
    );
    false
}
