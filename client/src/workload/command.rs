//! The command: one run, or several side by side.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use glockwork_runs::{Run, Scenario, Settings, directory, report};
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::{Action, WorkloadArguments};
use super::coordinator::{Outcome, Plan};
use super::display::Display;
use super::error::WorkloadError;
use super::means::Control;
use crate::Servers;

/// What a shell reports for a program that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

/// Runs what the arguments say on the nodes of the cluster, prints the report, and keeps it. The exit code says whether
/// the verdict was clean.
///
/// # Errors
/// [`WorkloadError`].
pub async fn run(
    servers: &Servers,
    arguments: &WorkloadArguments,
) -> Result<ExitCode, WorkloadError> {
    if let Some(Action::Report { runs, json }) = &arguments.action {
        return kept(runs, *json);
    }
    let scenario = arguments.scenario.as_deref().map(Scenario::read);
    let scenario = scenario.transpose()?;
    let control = arguments.control.as_deref().map(Control::parse);
    let mut plan = Plan {
        servers: servers.clone(),
        lockspace: arguments.lockspace.clone(),
        nodes: arguments.nodes.clone(),
        settings: arguments.settings(),
        scenario,
        control: control.transpose()?,
        display: Display::new(),
    };
    plan.settings.check()?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut runs = Vec::new();
    for policy in arguments.policies() {
        plan.settings = Settings {
            policy,
            ..plan.settings
        };
        let enough = async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            plan.display.say("ending; once more ends it at once");
        };
        let at_once = async {
            let (mut again, mut ends) = (signal(SignalKind::interrupt())?, 0);
            while ends < 2 && again.recv().await.is_some() {
                ends += 1;
            }
            Ok::<_, std::io::Error>(())
        };
        let outcome = tokio::select! {
            outcome = plan.run(enough) => outcome?,
            ended = at_once => {
                ended?;
                return Ok(ExitCode::from(EXIT_INTERRUPTED));
            }
        };
        match outcome {
            Outcome::Ended(run) => runs.push(*run),
            Outcome::Interrupted(run) => {
                runs.push(*run);
                print(&runs, arguments.compares(), arguments.json)?;
                plan.display.say("interrupted; nothing was kept");
                return Ok(ExitCode::from(EXIT_INTERRUPTED));
            }
        }
    }
    let compares = arguments.compares();
    print(&runs, compares, arguments.json)?;
    if !arguments.no_save {
        let scenario = plan.scenario.as_ref();
        let path = if compares {
            directory::save_comparison(&arguments.out, &runs, scenario)?
        } else {
            directory::save(&arguments.out, &runs[0], scenario)?
        };
        plan.display.say(&format!("kept in {}", path.display()));
    }
    Ok(verdict(&runs))
}

/// What is said of runs that were kept.
fn kept(paths: &[PathBuf], json: bool) -> Result<ExitCode, WorkloadError> {
    let mut runs = Vec::new();
    for path in paths {
        runs.extend(directory::load(path)?);
    }
    print(&runs, runs.len() > 1, json)?;
    Ok(verdict(&runs))
}

fn verdict(runs: &[Run]) -> ExitCode {
    let worst = runs.iter().map(|run| run.verdict.exit_code()).max();
    ExitCode::from(worst.unwrap_or_default())
}

/// One document or report; of runs that are compared one for all.
fn print(runs: &[Run], compares: bool, json: bool) -> Result<(), WorkloadError> {
    let mut out = std::io::stdout().lock();
    if json {
        let rendered = match runs {
            [run] if !compares => serde_json::to_string(run),
            runs => serde_json::to_string(runs),
        };
        writeln!(out, "{}", rendered.map_err(std::io::Error::from)?)?;
        return Ok(());
    }
    for run in runs {
        if !compares {
            write!(out, "{}", report::run(run))?;
        }
    }
    if compares {
        write!(out, "{}", report::comparison(runs))?;
    }
    out.flush()?;
    Ok(())
}
