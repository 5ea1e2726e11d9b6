//! What a test needs of the machine: where it is missing the test says so loudly and is skipped, or fails if
//! `GLOCKWORK_REQUIRE` names it.

use std::io::Write;
use std::process::Command;

/// Whether gfs2's own tools can be run on a debugfs of ours: they are there, and so is the right to mount.
pub(crate) fn has_gfs2_utils() -> bool {
    let script = "command -v glocktop && mount -t tmpfs none /proc && test -d /sys/kernel/debug";
    let tried = Command::new("unshare")
        .args(["-m", "sh", "-c", script])
        .output();
    match tried {
        Ok(tried) if tried.status.success() => true,
        Ok(tried) => missing(
            "gfs2-utils",
            &format!(
                "no glocktop, or no right to mount: {}",
                String::from_utf8_lossy(&tried.stderr).trim()
            ),
        ),
        Err(error) => missing("gfs2-utils", &format!("unshare: {error}")),
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
