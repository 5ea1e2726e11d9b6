//! What directories of runs are called.

use time::OffsetDateTime;

use crate::config::Config;
use crate::run::Run;

/// `20261201-053000-ordered-cross-seed1`.
pub(super) fn of_run(run: &Run) -> String {
    named(&run.config, run.config.policy.name())
}

/// `20261201-053000-compare-cross-seed1`.
pub(super) fn of_comparison(first: &Run) -> String {
    named(&first.config, "compare")
}

fn named(config: &Config, what: &str) -> String {
    format!(
        "{}-{what}-{}-seed{}",
        stamp(config.began_unix_s),
        config.group,
        config.seed
    )
}

/// The policies, with a number where there are several of one.
pub(super) fn of_parts(runs: &[Run]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for run in runs {
        let name = run.config.policy.name();
        let taken = |part: &String| parts.contains(part);
        let numbered = (2..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|part| !taken(part));
        parts.extend(free);
    }
    parts
}

fn stamp(unix_s: u64) -> String {
    let date = i64::try_from(unix_s)
        .ok()
        .and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    // What no calendar has is a clock that was never set.
    let date = date.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (hour, minute, second) = date.to_hms();
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}
