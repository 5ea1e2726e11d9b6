//! A scenario as a file again: with everything that was left open filled in, it is the run's own configuration.

use super::file::{Written, WrittenExpected, WrittenTimed, WrittenWorkload};
use super::{Action, Direction, Expect, Scenario, Verb, units};
use crate::config::Config;
use crate::settings::Settings;

impl Scenario {
    /// That of a run with this configuration, in which this was done.
    #[must_use]
    pub fn of_run(config: &Config, actions: &[Action]) -> Self {
        Self {
            name: config.scenario.clone().unwrap_or_default(),
            settings: config.settings(),
            expect: config.expect,
            bounds: config.bounds,
            actions: actions.to_vec(),
            text: String::new(),
            shown: String::new(),
        }
    }

    /// As TOML, which reads as the same scenario. What was given with `for` is there as two actions.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let Settings {
            policy,
            group,
            seconds,
            tasks,
            files,
            file_bytes,
            io_bytes,
            reads_percent,
            seed,
        } = self.settings;
        let written = Written {
            workload: WrittenWorkload {
                policy: policy.map(|policy| policy.name()),
                group: group.map(|group| group.name()),
                seconds,
                tasks,
                files,
                file_size: file_bytes.map(units::bytes_shown),
                io: io_bytes.map(units::bytes_shown),
                reads_percent,
                // A larger one is in no configuration that was checked.
                seed: seed.map(|seed| seed.min(i64::MAX as u64)),
            },
            expect: WrittenExpected {
                verdict: match self.expect {
                    Expect::Clean => "clean",
                    Expect::Deadlock => "deadlock",
                },
                stall: self.bounds.stall_us_max.map(units::shown),
                recovery: self.bounds.recovery_us_max.map(units::shown),
            },
            at: self.actions.iter().map(timed).collect(),
        };
        toml::to_string(&written).expect("tables of texts and numbers are TOML")
    }
}

fn timed(action: &Action) -> WrittenTimed<'static> {
    let (direction, delay_us) = match action.verb {
        Verb::Cut(direction) => (direction, None),
        Verb::Slow {
            direction,
            delay_us,
        } => (direction, Some(delay_us)),
        Verb::SlowStore { delay_us } => (Direction::Both, Some(delay_us)),
        _ => (Direction::Both, None),
    };
    WrittenTimed {
        time: units::shown(action.at_us),
        verb: action.verb.name(),
        target: action.target.to_string(),
        one_way: direction.name(),
        delay: delay_us.map(units::shown),
    }
}
