//! When locks were granted: a file for each process that asks for them, and the longest time without a grant.
//!
//! The times are of the machine's own clock, which all its processes share.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Microseconds since the machine was started.
#[must_use]
pub fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    // Neither part is negative.
    now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000
}

/// A process's file of grants, to write.
#[derive(Debug)]
pub struct PulseFile(File);

impl PulseFile {
    /// Goes on behind what is there.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(file))
    }

    /// `lock` was granted now.
    ///
    /// # Errors
    /// What the system says.
    pub fn granted(&mut self, lock: &str) -> io::Result<()> {
        self.0
            .write_all(format!("{} {lock}\n", now_us()).as_bytes())
    }
}

/// When each lock was granted, to whomever, in order.
#[derive(Clone, Debug, Default)]
pub struct Pulse(BTreeMap<String, Vec<u64>>);

impl Pulse {
    /// Of all those files. A line that is not whole yet does not count.
    #[must_use]
    pub fn read(files: &[PathBuf]) -> Self {
        let mut grants: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for file in files {
            let text = fs::read_to_string(file).unwrap_or_default();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines() {
                if let Some((at, lock)) = line.split_once(' ')
                    && let Ok(at) = at.parse()
                {
                    grants.entry(lock.to_owned()).or_default().push(at);
                }
            }
        }
        grants.values_mut().for_each(|times| times.sort_unstable());
        Self(grants)
    }

    /// How many grants of `lock` there were in that time.
    #[must_use]
    pub fn count(&self, lock: &str, from_us: u64, until_us: u64) -> usize {
        let times = self.0.get(lock).map_or(&[][..], Vec::as_slice);
        times
            .iter()
            .filter(|&&at| from_us <= at && at < until_us)
            .count()
    }

    /// How many of any lock.
    #[must_use]
    pub fn total(&self, from_us: u64, until_us: u64) -> usize {
        let locks = self.0.keys();
        locks.map(|lock| self.count(lock, from_us, until_us)).sum()
    }

    /// The longest time without a grant of `lock` that began or ended in that time, and when it began. With the
    /// last grant before, and the first one after.
    #[must_use]
    pub fn longest_gap(&self, lock: &str, from_us: u64, until_us: u64) -> (Duration, u64) {
        let times = self.0.get(lock).map_or(&[][..], Vec::as_slice);
        let before = times.iter().rev().find(|&&at| at < from_us);
        let after = times.iter().find(|&&at| at >= until_us);
        let within = times.iter().filter(|&&at| from_us <= at && at < until_us);
        let first = *before.unwrap_or(&from_us);
        let last = *after.unwrap_or(&until_us);
        let mut longest = (0, first);
        let mut at = first;
        for &next in within.chain([&last]) {
            longest = longest.max((next.saturating_sub(at), at));
            at = next;
        }
        (Duration::from_micros(longest.0), longest.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse(text: &str) -> Pulse {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pulse");
        fs::write(&file, text).unwrap();
        Pulse::read(&[file, dir.path().join("none")])
    }

    #[test]
    fn the_longest_gap_reaches_from_before_to_after() {
        let pulse = pulse("10 a\n20 a\n50 a\n60 a\n15 b\n70 a\n8");
        let gap = |from, until| {
            let (gap, at) = pulse.longest_gap("a", from, until);
            (gap.as_micros(), at)
        };
        assert_eq!(gap(15, 65), (30, 20));
        assert_eq!(gap(30, 40), (30, 20));
        assert_eq!(gap(51, 65), (10, 60));
        // Nobody was granted it any more: up to the end at least.
        assert_eq!(gap(60, 200), (130, 70));
        assert_eq!(pulse.longest_gap("c", 5, 9).0.as_micros(), 4);
        assert_eq!(pulse.count("a", 20, 60), 2);
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pulse");
        let before = now_us();
        PulseFile::open(&path).unwrap().granted("x").unwrap();
        let pulse = Pulse::read(&[path]);
        assert_eq!(pulse.count("x", before, now_us() + 1), 1);
    }
}
