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
        // A test is in target/PROFILE/deps.
        let test = std::env::current_exe().expect("a test has a path");
        let profile = test
            .ancestors()
            .find(|path| path.file_name().is_some_and(|name| name == "deps"))
            .and_then(Path::parent)
            .expect("a test is in the target directory");
        // `cargo test --workspace` has built them; a build apart would have other features, and so build half
        // of the dependencies again.
        if ["dlm", "dlm-server"]
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

    /// One of them: `dlm`, `dlm-server`.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}
