//! From the file to a scenario: everything that is wrong with it, at once.

use std::ops::Range;
use std::path::Path;

use glockwork_proto::fault::FAULT_DELAY_US_MAX;
use glockwork_proto::node::STORE_DELAY_US_MAX;

use super::file::{Expected, File, Timed, Workload};
use super::mistakes::Mistakes;
use super::{Action, Direction, Expect, Scenario, Target, Verb, order, units};
use crate::limits::ACTIONS_MAX;
use crate::settings::Settings;
use crate::verdict::Bounds;

/// The scenario; it is to be used only if there are no mistakes.
pub(super) fn scenario(file: &File, mistakes: &mut Mistakes<'_>) -> Scenario {
    let settings = settings(&file.workload, mistakes);
    let (expect, bounds) = expected(&file.expect, mistakes);
    let mut actions = Vec::new();
    for timed in &file.at {
        action(timed, &mut actions, mistakes);
    }
    if actions.len() > ACTIONS_MAX {
        let line = actions[ACTIONS_MAX].line;
        let text = format!("a scenario has at most {ACTIONS_MAX} actions; leave some out");
        mistakes.add_at(line, text);
        actions.truncate(ACTIONS_MAX);
    }
    let actions = order::order(actions, mistakes);
    let stem = Path::new(mistakes.shown).file_stem();
    Scenario {
        name: stem.map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        settings,
        expect,
        bounds,
        actions,
        text: mistakes.text.into(),
        shown: mistakes.shown.into(),
    }
}

fn settings(workload: &Workload, mistakes: &mut Mistakes<'_>) -> Settings {
    let mut all = Settings {
        policy: mistakes.read(workload.policy.as_ref(), str::parse),
        group: mistakes.read(workload.group.as_ref(), str::parse),
        ..Settings::default()
    };
    // Each alone, since each has its line.
    let mut one = |at: Range<usize>, setting: Settings| match setting.check() {
        Ok(()) => all = all.or(&setting),
        Err(error) => mistakes.add(&at, error.to_string()),
    };
    let large = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    if let Some(seconds) = &workload.seconds {
        let setting = Settings {
            seconds: Some(*seconds.get_ref()),
            ..Settings::default()
        };
        one(seconds.span(), setting);
    }
    if let Some(tasks) = &workload.tasks {
        let setting = Settings {
            tasks: Some(large(*tasks.get_ref())),
            ..Settings::default()
        };
        one(tasks.span(), setting);
    }
    if let Some(files) = &workload.files {
        let setting = Settings {
            files: Some(large(*files.get_ref())),
            ..Settings::default()
        };
        one(files.span(), setting);
    }
    if let Some(percent) = &workload.reads_percent {
        let reads_percent = Some(u8::try_from(*percent.get_ref()).unwrap_or(u8::MAX));
        one(
            percent.span(),
            Settings {
                reads_percent,
                ..Settings::default()
            },
        );
    }
    if let Some(seed) = &workload.seed {
        all.seed = Some(*seed.get_ref());
    }
    let io_bytes = mistakes.read(workload.io.as_ref(), |text| {
        let io_bytes = Some(units::bytes(text)?);
        let setting = Settings {
            io_bytes,
            ..Settings::default()
        };
        setting.check().map_err(|error| error.to_string())?;
        Ok::<_, String>(io_bytes)
    });
    all.io_bytes = io_bytes.flatten();
    all.file_bytes = mistakes.read(workload.file_size.as_ref(), units::bytes);
    all
}

fn expected(expected: &Expected, mistakes: &mut Mistakes<'_>) -> (Expect, Bounds) {
    let expect = mistakes.read(expected.verdict.as_ref(), |text| match text {
        "clean" => Ok(Expect::Clean),
        "deadlock" => Ok(Expect::Deadlock),
        _ => Err("a verdict that is expected is clean or deadlock"),
    });
    let bounds = Bounds {
        stall_us_max: mistakes.read(expected.stall.as_ref(), units::time),
        recovery_us_max: mistakes.read(expected.recovery.as_ref(), units::time),
        ..Bounds::default()
    };
    (expect.unwrap_or_default(), bounds)
}

/// One action, and the one that undoes it where it says for how long it lasts.
fn action(timed: &Timed, actions: &mut Vec<Action>, mistakes: &mut Mistakes<'_>) {
    let verb = verb(timed, mistakes);
    let at_us = mistakes.read(Some(&timed.time), units::time);
    let target = mistakes.read(Some(&timed.target), str::parse::<Target>);
    let lasts_us = mistakes.read(timed.lasts.as_ref(), units::time);
    let (Some(verb), Some(at_us), Some(target)) = (verb, at_us, target) else {
        return;
    };
    let line = mistakes.line(&timed.verb.span());
    if let Some(text) = unfit(verb, &target) {
        mistakes.add_at(line, text);
        return;
    }
    let undoes = Vec::new();
    let undone_by = verb.undone_by();
    if let Some(span) = timed.lasts.as_ref().filter(|_| undone_by.is_none()) {
        let text = format!("`{verb}` lasts no time: leave `for` out");
        mistakes.add(&span.span(), text);
    }
    if let Some(span) = timed.lasts.as_ref().filter(|_| lasts_us == Some(0)) {
        mistakes.add(
            &span.span(),
            "it has to last some time: give `for` more than 0".into(),
        );
        return;
    }
    if let (Some(verb), Some(lasts_us)) = (undone_by, lasts_us) {
        actions.push(Action {
            at_us: at_us.saturating_add(lasts_us),
            verb,
            target: target.clone(),
            undoes: undoes.clone(),
            line,
        });
    }
    actions.push(Action {
        at_us,
        verb,
        target,
        undoes,
        line,
    });
}

/// Why that cannot be done to those.
fn unfit(verb: Verb, target: &Target) -> Option<String> {
    if verb.is_of_nodes() && !target.is_of_nodes() {
        return Some(format!(
            "`{verb}` is of nodes, and {target} has no volume: give a node's name or nodes"
        ));
    }
    if verb == Verb::RestartRolling && !matches!(target, Target::Nodes | Target::Servers) {
        return Some(format!(
            "`{verb}` is of several of a kind: give nodes or servers instead of {target}"
        ));
    }
    None
}

fn verb(timed: &Timed, mistakes: &mut Mistakes<'_>) -> Option<Verb> {
    let direction = mistakes.read(timed.one_way.as_ref(), |text| match text {
        "from" => Ok(Direction::From),
        "to" => Ok(Direction::To),
        _ => Err("one-way is `from` (what the target sends is lost) or `to` (what it is sent)"),
    });
    let delay_us = mistakes.read(timed.delay.as_ref(), units::time);
    let name = timed.verb.get_ref().as_str();
    let direction = direction.unwrap_or_default();
    // A delay that is not needed is refused below.
    let delay = delay_us.unwrap_or(1);
    let verb = match name {
        "cut" => Verb::Cut(direction),
        "slow" => Verb::Slow {
            direction,
            delay_us: delay,
        },
        "heal" => Verb::Heal,
        "kill" => Verb::Kill,
        "restart" => Verb::Restart,
        "restart-rolling" => Verb::RestartRolling,
        "pause" => Verb::Pause,
        "resume" => Verb::Resume,
        "stall-store" => Verb::StallStore,
        "slow-store" => Verb::SlowStore { delay_us: delay },
        "fail-store" => Verb::FailStore,
        "release-store" => Verb::ReleaseStore,
        _ => {
            let known = Verb::NAMES.join(", ");
            let text = format!("there is nothing called `{name}` to do; there are {known}");
            mistakes.add(&timed.verb.span(), text);
            return None;
        }
    };
    if let Some(given) = &timed.one_way
        && !matches!(verb, Verb::Cut(_) | Verb::Slow { .. })
    {
        let text = format!("`{verb}` has no direction: leave `one-way` out");
        mistakes.add(&given.span(), text);
    }
    delay_fits(verb, timed, delay_us, mistakes);
    Some(verb)
}

fn delay_fits(verb: Verb, timed: &Timed, delay_us: Option<u64>, mistakes: &mut Mistakes<'_>) {
    let most = match verb {
        Verb::Slow { .. } => FAULT_DELAY_US_MAX,
        Verb::SlowStore { .. } => STORE_DELAY_US_MAX,
        _ => {
            if let Some(given) = &timed.delay {
                let text = format!("`{verb}` has no delay: leave `delay` out");
                mistakes.add(&given.span(), text);
            }
            return;
        }
    };
    match (&timed.delay, delay_us) {
        (None, _) => {
            let text = format!("`{verb}` needs a `delay`, such as delay = \"200ms\"");
            mistakes.add(&timed.verb.span(), text);
        }
        (Some(given), Some(us)) if us == 0 || us > most => {
            let most = units::shown(most);
            mistakes.add(
                &given.span(),
                format!("give a delay above 0 of at most {most}"),
            );
        }
        _ => {}
    }
}
