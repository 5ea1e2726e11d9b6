//! The programs of this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Builds them where they are not there. Those that are there are taken as they are: where only this
    /// package is tested after a change, build the others first.
    ///
    /// # Panics
    /// If they cannot be built.
    pub fn built() -> &'static Self {
        static BUILT: OnceLock<Binaries> = OnceLock::new();
        BUILT.get_or_init(Self::build)
    }

    fn build() -> Self {
        // A test is in target/PROFILE/deps, a program in target/PROFILE.
        let this = std::env::current_exe().expect("a program has a path");
        let dir = this.parent().expect("a program is in a directory");
        let is_deps = dir.file_name().is_some_and(|name| name == "deps");
        let above = dir.parent().filter(|_| is_deps);
        let profile: &Path = above.unwrap_or(dir);
        // `cargo test --workspace` has built them; a build apart would have other features, and so build half
        // of the dependencies again.
        if ["dlm", "dlm-server", "failover", "fs-node"]
            .iter()
            .all(|name| profile.join(name).exists())
        {
            return Self(profile.to_owned());
        }
        let target = profile.parent().expect("the target directory");
        let mut cargo = Command::new(env!("CARGO"));
        cargo
            .args(["build", "--quiet", "--offline", "--bins"])
            .args(["--package", "dlm-server", "--package", "dlm-client"])
            .args(["--package", "fs-node", "--package", "tests"])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        if profile.file_name().is_some_and(|name| name == "release") {
            cargo.arg("--release");
        }
        let status = cargo.status().expect("cargo runs");
        assert!(status.success(), "the programs cannot be built: {status}");
        Self(profile.to_owned())
    }

    /// One of them: `dlm`, `dlm-server`, `failover`, `fs-node`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
