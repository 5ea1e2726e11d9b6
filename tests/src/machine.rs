//! What a test needs of the machine: where it is missing the test says so loudly and is skipped, or
//! fails if `GLOCKWORK_REQUIRE` names it.

use std::io::Write;

/// Whether userfaultfd can be had. A test that gets `false` returns.
///
/// # Panics
/// If it cannot be had and `GLOCKWORK_REQUIRE` names `uffd`.
#[must_use]
pub fn has_userfaultfd() -> bool {
    match fs_node::userfaultfd_available() {
        Ok(()) => true,
        Err(error) => missing("uffd", &error.to_string()),
    }
}

/// Says that `what` is missing; fails where it is required.
fn missing(what: &str, why: &str) -> bool {
    let required = std::env::var("GLOCKWORK_REQUIRE").unwrap_or_default();
    let is_required = required.split(',').any(|name| name.trim() == what);
    assert!(
        !is_required,
        "GLOCKWORK_REQUIRE names {what}, and it is missing: {why}"
    );
    // Written past the test harness, which keeps what a passing test prints to itself.
    let _ = writeln!(
        std::io::stderr(),
        "\n*** SKIPPED, {what} is missing: {why}\n"
    );
    false
}
