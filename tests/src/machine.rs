//! What a test needs of the machine: where it is missing the test says so loudly and is skipped, or
//! fails if `GLOCKWORK_REQUIRE` names it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

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

/// Whether Debian's browser can be had. A test that gets `false` returns.
///
/// # Panics
/// If it cannot be had and `GLOCKWORK_REQUIRE` names `chromium`.
#[must_use]
pub fn has_chromium() -> bool {
    match Command::new("chromium").arg("--version").output() {
        Ok(said) if said.status.success() => true,
        Ok(said) => missing("chromium", &String::from_utf8_lossy(&said.stderr)),
        Err(error) => missing("chromium", &error.to_string()),
    }
}

/// Whether containers can be run, by an engine that runs and compose. A test that gets `false` returns.
///
/// # Panics
/// If they cannot and `GLOCKWORK_REQUIRE` names `docker`.
#[must_use]
pub fn has_docker() -> bool {
    let works =
        |program: &str, arguments: &[&str]| match Command::new(program).args(arguments).output() {
            Ok(said) if said.status.success() => Ok(()),
            Ok(said) => Err(String::from_utf8_lossy(&said.stderr).into_owned()),
            Err(error) => Err(format!("{program}: {error}")),
        };
    let compose = || {
        works("docker", &["compose", "version"]).or_else(|_| works("docker-compose", &["version"]))
    };
    match works("docker", &["info"]).and_then(|()| compose()) {
        Ok(()) => true,
        Err(why) => missing("docker", &why),
    }
}

/// A disk in memory that is full soon; it goes when it is dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// One of so many KiB, at a directory that is made for it. A test that gets none returns: only root may
    /// mount.
    ///
    /// # Panics
    /// If it cannot be had and `GLOCKWORK_REQUIRE` names `mount`.
    #[must_use]
    pub fn at(dir: &Path, size_kib: u32) -> Option<Self> {
        fs::create_dir_all(dir).expect("a directory");
        let mut mount = Command::new("mount");
        mount.args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={size_kib}k"),
            "glockwork",
        ]);
        let why = match mount.arg(dir).output() {
            Ok(done) if done.status.success() => return Some(Self(dir.to_owned())),
            Ok(done) => String::from_utf8_lossy(&done.stderr).into_owned(),
            Err(error) => error.to_string(),
        };
        missing("mount", &why);
        None
    }

    /// Fills it to the last page.
    ///
    /// # Panics
    /// If it does not get full.
    pub fn fill(&self) {
        let mut ballast = fs::File::create(self.ballast()).expect("a file");
        let page = [0; 4096];
        while ballast.write_all(&page).is_ok() {}
    }

    /// Makes room again.
    ///
    /// # Panics
    /// If it was not filled.
    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("the file that filled it");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever has a file there still keeps it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
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
