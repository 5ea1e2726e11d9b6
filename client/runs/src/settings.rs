//! What a workload is made of, as far as anybody has said.

use glockwork_proto::node::{
    Group, PART_PAGES_MAX, Policy, WORKLOAD_FILES_MAX, WORKLOAD_NODES_MAX, WORKLOAD_PAGES_MAX,
    WORKLOAD_TASKS_MAX,
};
use thiserror::Error;

use crate::limits::RUN_SECONDS_MAX;

/// Bytes in a page, of which an I/O is whole ones.
pub(crate) const PAGE_BYTES: u64 = 4096;

/// The largest number that TOML has: a run's configuration is written as such.
const SEED_MAX: u64 = i64::MAX as u64;

/// The flags of a workload, from a scenario's file or a command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The rules of direct I/O.
    pub policy: Option<Policy>,
    /// The operations.
    pub group: Option<Group>,
    /// How long it runs, 1 to [`RUN_SECONDS_MAX`].
    pub seconds: Option<u64>,
    /// Tasks on each node.
    pub tasks: Option<usize>,
    /// Files that they work on.
    pub files: Option<usize>,
    /// Bytes of each file that they work on; `None`: two I/Os for each task.
    pub file_bytes: Option<u64>,
    /// Bytes in one I/O, whole pages of 4 KiB.
    pub io_bytes: Option<u64>,
    /// Of a hundred operations, how many read.
    pub reads_percent: Option<u8>,
    /// All choices come from it, the node and the task; at most 2^63 - 1.
    pub seed: Option<u64>,
}

/// A setting that is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// A number that is too small or too large.
    #[error("{name} is {value}: give a number in {least}..={most}")]
    Range {
        /// The setting's name.
        name: &'static str,
        /// What was given.
        value: u64,
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// An I/O of a part of a page.
    #[error(
        "an io of {bytes} bytes is not whole pages: give a multiple of {PAGE_BYTES}, such as 32k"
    )]
    Pages {
        /// How many bytes it was.
        bytes: u64,
    },
    /// Files that are too small, or too large.
    #[error(
        "file-size is {bytes} bytes: {tasks} tasks that each need two I/Os of {io_bytes} bytes and use at most {} MiB take \
         {least}..={most}",
        (PART_PAGES_MAX as u64 * PAGE_BYTES) >> 20
    )]
    FileSize {
        /// How many bytes it was.
        bytes: u64,
        /// Tasks on all nodes.
        tasks: u64,
        /// Bytes in one I/O.
        io_bytes: u64,
        /// The least that it may be.
        least: u64,
        /// The most.
        most: u64,
    },
}

impl Settings {
    /// Without any said: `cross` under `ordered` for 10 s, two tasks a node, 32 KiB, half of them reads, seed 1.
    pub const SECONDS_DEFAULT: u64 = 10;
    const TASKS_DEFAULT: usize = 2;
    const FILES_LEAST_DEFAULT: usize = 6;
    const IO_BYTES_DEFAULT: u64 = 32 << 10;
    const READS_PERCENT_DEFAULT: u8 = 50;
    const SEED_DEFAULT: u64 = 1;

    /// These, and of `other` what these leave open: a command line's before a file's.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            policy: self.policy.or(other.policy),
            group: self.group.or(other.group),
            seconds: self.seconds.or(other.seconds),
            tasks: self.tasks.or(other.tasks),
            files: self.files.or(other.files),
            file_bytes: self.file_bytes.or(other.file_bytes),
            io_bytes: self.io_bytes.or(other.io_bytes),
            reads_percent: self.reads_percent.or(other.reads_percent),
            seed: self.seed.or(other.seed),
        }
    }

    /// With defaults for what is left open, on so many nodes.
    #[must_use]
    pub fn filled(&self, nodes: usize) -> Self {
        self.or(&Self {
            policy: Some(Policy::Ordered),
            group: Some(Group::Cross),
            seconds: Some(Self::SECONDS_DEFAULT),
            tasks: Some(Self::TASKS_DEFAULT),
            files: Some((2 * nodes).max(Self::FILES_LEAST_DEFAULT)),
            file_bytes: None,
            io_bytes: Some(Self::IO_BYTES_DEFAULT),
            reads_percent: Some(Self::READS_PERCENT_DEFAULT),
            seed: Some(Self::SEED_DEFAULT),
        })
    }

    /// Whether what is said is in range.
    ///
    /// # Errors
    /// [`SettingsError`], of the first that is not.
    pub fn check(&self) -> Result<(), SettingsError> {
        let of = |number: Option<usize>| number.map(|number| number as u64);
        in_range("seconds", self.seconds, 1, RUN_SECONDS_MAX)?;
        in_range("tasks", of(self.tasks), 1, WORKLOAD_TASKS_MAX as u64)?;
        in_range("files", of(self.files), 2, WORKLOAD_FILES_MAX as u64)?;
        in_range("seed", self.seed, 0, SEED_MAX)?;
        let percent = self.reads_percent.map(u64::from);
        in_range("reads-percent", percent, 0, 100)?;
        let Some(bytes) = self.io_bytes else {
            return Ok(());
        };
        if !bytes.is_multiple_of(PAGE_BYTES) {
            return Err(SettingsError::Pages { bytes });
        }
        let most = WORKLOAD_PAGES_MAX as u64 * PAGE_BYTES;
        in_range("io", Some(bytes), PAGE_BYTES, most)
    }
}

/// Whether a cluster's nodes are not too many for a workload.
pub(crate) fn check_nodes(nodes: usize) -> Result<(), SettingsError> {
    in_range("nodes", Some(nodes as u64), 1, WORKLOAD_NODES_MAX as u64)
}

fn in_range(
    name: &'static str,
    value: Option<u64>,
    least: u64,
    most: u64,
) -> Result<(), SettingsError> {
    match value {
        Some(value) if !(least..=most).contains(&value) => Err(SettingsError::Range {
            name,
            value,
            least,
            most,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_first_counts_and_the_rest_has_defaults() {
        let line = Settings {
            seconds: Some(7),
            ..Settings::default()
        };
        let file = Settings {
            seconds: Some(60),
            tasks: Some(4),
            ..Settings::default()
        };
        let all = line.or(&file).filled(5);
        assert_eq!(
            (all.seconds, all.tasks, all.files),
            (Some(7), Some(4), Some(10))
        );
        assert_eq!(all.check(), Ok(()));
    }

    #[test]
    fn a_file_has_room_for_all_tasks_and_not_for_more_than_they_can_keep() {
        let config = |file_bytes| {
            let settings = Settings {
                file_bytes: Some(file_bytes),
                io_bytes: Some(32 << 10),
                tasks: Some(2),
                ..Settings::default()
            };
            crate::Config::new(&settings, vec!["a".into(), "b".into()], 1, "", 0)
        };
        let part_ios = |bytes| config(bytes).unwrap().workload(1, 0, 1).part_ios;
        assert_eq!((part_ios(256 << 10), part_ios(1 << 20)), (2, 8));
        for bytes in [0, (256 << 10) - 1, 1 << 40] {
            let error = config(bytes).unwrap_err().to_string();
            assert!(
                error.contains("file-size") && error.contains("262144..="),
                "{error}"
            );
        }
        let again = config(1 << 20).unwrap();
        let scenario = crate::Scenario::parse("", &crate::Scenario::of_run(&again, &[]).to_toml());
        assert_eq!(scenario.unwrap().settings.file_bytes, Some(1 << 20));
    }

    #[test]
    fn what_is_out_of_range_is_named() {
        let wrong = [
            (
                Settings {
                    seconds: Some(0),
                    ..Settings::default()
                },
                "seconds is 0",
            ),
            (
                Settings {
                    tasks: Some(33),
                    ..Settings::default()
                },
                "1..=32",
            ),
            (
                Settings {
                    files: Some(1),
                    ..Settings::default()
                },
                "files is 1",
            ),
            (
                Settings {
                    io_bytes: Some(4097),
                    ..Settings::default()
                },
                "multiple of 4096",
            ),
            (
                Settings {
                    io_bytes: Some(0),
                    ..Settings::default()
                },
                "io is 0",
            ),
            (
                Settings {
                    seed: Some(1 << 63),
                    ..Settings::default()
                },
                "seed is 9223372036854775808",
            ),
            (
                Settings {
                    reads_percent: Some(101),
                    ..Settings::default()
                },
                "0..=100",
            ),
        ];
        for (settings, text) in wrong {
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        assert!(check_nodes(0).is_err() && check_nodes(17).is_err() && check_nodes(16).is_ok());
    }
}
