//! What a run was started with.

use glockwork_proto::node::{Group, PART_PAGES_MAX, Policy, Workload};
use serde::{Deserialize, Serialize};

use crate::scenario::Expect;
use crate::settings::{PAGE_BYTES, Settings, SettingsError, check_nodes};
use crate::verdict::Bounds;

/// All that a run was started with: whoever has it can start it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The operations.
    pub group: Group,
    /// The rules of direct I/O.
    pub policy: Policy,
    /// The nodes' names, in the order of their indexes.
    pub nodes: Vec<String>,
    /// How many lock servers the cluster has.
    pub servers: usize,
    /// Tasks on each node.
    pub tasks: usize,
    /// Files that they work on.
    pub files: usize,
    /// Bytes of each file that they work on; `None`: two I/Os for each task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_bytes: Option<u64>,
    /// Bytes in one I/O.
    pub io_bytes: u64,
    /// Of a hundred operations, how many read.
    pub reads_percent: u8,
    /// How long it was to run.
    pub seconds: u64,
    /// All choices come from it, the node and the task.
    pub seed: u64,
    /// The coordinating program's version.
    pub version: String,
    /// When it began, in seconds since 1970.
    pub began_unix_s: u64,
    /// The scenario's name, where there was one.
    pub scenario: Option<String>,
    /// What was expected of it.
    pub expect: Expect,
    /// What the verdict is made with.
    pub bounds: Bounds,
}

impl Config {
    /// Of settings, with defaults where they leave something open, without a scenario.
    ///
    /// # Errors
    /// [`SettingsError`]: something is out of range.
    pub fn new(
        settings: &Settings,
        nodes: Vec<String>,
        servers: usize,
        version: impl Into<String>,
        began_unix_s: u64,
    ) -> Result<Self, SettingsError> {
        check_nodes(nodes.len())?;
        let all = settings.filled(nodes.len());
        all.check()?;
        // All of them are there.
        let config = Self {
            group: all.group.unwrap_or(Group::Cross),
            policy: all.policy.unwrap_or(Policy::Ordered),
            nodes,
            servers,
            tasks: all.tasks.unwrap_or_default(),
            files: all.files.unwrap_or_default(),
            file_bytes: all.file_bytes,
            io_bytes: all.io_bytes.unwrap_or_default(),
            reads_percent: all.reads_percent.unwrap_or_default(),
            seconds: all.seconds.unwrap_or_default(),
            seed: all.seed.unwrap_or_default(),
            version: version.into(),
            began_unix_s,
            scenario: None,
            expect: Expect::default(),
            bounds: Bounds::default(),
        };
        config.check_file_size()?;
        Ok(config)
    }

    /// The settings that make it again.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            policy: Some(self.policy),
            group: Some(self.group),
            seconds: Some(self.seconds),
            tasks: Some(self.tasks),
            files: Some(self.files),
            file_bytes: self.file_bytes,
            io_bytes: Some(self.io_bytes),
            reads_percent: Some(self.reads_percent),
            seed: Some(self.seed),
        }
    }

    /// What the node at `index` is told, with a length of what is left of the run.
    #[must_use]
    pub const fn workload(&self, run: u64, index: usize, length_us: u64) -> Workload {
        Workload {
            run,
            group: self.group,
            policy: self.policy,
            nodes: self.nodes.len(),
            index,
            tasks: self.tasks,
            files: self.files,
            io_pages: (self.io_bytes / PAGE_BYTES) as usize,
            part_ios: self.part_ios() as usize,
            seed: self.seed,
            reads_percent: self.reads_percent,
            length_us,
        }
    }

    /// How many I/Os' worth of a file each task has for itself.
    const fn part_ios(&self) -> u64 {
        match self.file_bytes {
            Some(bytes) => bytes / self.io_bytes / (self.nodes.len() * self.tasks) as u64,
            None => 2,
        }
    }

    fn check_file_size(&self) -> Result<(), SettingsError> {
        let tasks = (self.nodes.len() * self.tasks) as u64;
        let io_bytes = self.io_bytes;
        let part_bytes_max = (PART_PAGES_MAX as u64 * PAGE_BYTES).max(2 * io_bytes);
        let (least, most) = (2 * tasks * io_bytes, tasks * part_bytes_max);
        match self.file_bytes {
            Some(bytes) if !(least..=most).contains(&bytes) => Err(SettingsError::FileSize {
                bytes,
                tasks,
                io_bytes,
                least,
                most,
            }),
            _ => Ok(()),
        }
    }

    /// How long it was to run, in microseconds.
    #[must_use]
    pub const fn length_us(&self) -> u64 {
        self.seconds * 1_000_000
    }
}
