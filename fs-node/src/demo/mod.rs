//! The demo: a cluster that deadlocks, and the same cluster that does not.
//!
//! It starts a lock server and nodes, each a process of its own (this same program, [`child`]), and a
//! volume that they share. For each policy it runs both groups of operations ([`phase`]), watches the
//! lock graph ([`deadlock`]), stops the nodes, and compares the volume with what was written
//! ([`audit`]). Whatever happens, no process and no temporary file is left.

mod audit;
pub(crate) mod child;
mod cluster;
mod deadlock;
mod phase;
mod process;
mod progress;
mod protocol;
mod report;
mod table;
pub(crate) mod volume;

use std::fs;
use std::io::{self, Write};
use std::time::Duration;

use fs_node::{Policy, VolumeError};
use tokio::signal::unix::{SignalKind, signal};

use self::cluster::{Cluster, NodeSettings};
use self::deadlock::Deadlock;
use self::phase::Phase;
use self::progress::Display;
use self::report::{Document, Record};
use self::volume::{PrepareError, Volume};
use crate::config::DemoConfig;
use crate::workload::Group;

/// The same-file group takes this part of the cross group's time, and at least half a second.
const SAME_FILE_PART: u32 = 3;
const SAME_FILE_LENGTH_MIN: Duration = Duration::from_millis(500);

/// Why a demo did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The volume cannot be had.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// The volume cannot be read at the end.
    #[error("the volume cannot be checked: {0}")]
    Audit(VolumeError),
    /// A process cannot be started.
    #[error("cannot start a process of this program: {0}")]
    Start(io::Error),
    /// A process ended by itself.
    #[error("{name} died: {how}")]
    Died {
        /// Which.
        name: String,
        /// Its exit status and last words.
        how: String,
    },
    /// A process says nothing.
    #[error("{name} does not answer; if the machine is overloaded, try fewer --nodes or --tasks")]
    Silent {
        /// Which.
        name: String,
    },
    /// A process does not end.
    #[error("{name} did not stop by itself and was killed")]
    Hangs {
        /// Which.
        name: String,
    },
    /// A process says something else than it should.
    #[error("{name} said what is no event: {source}")]
    Garbled {
        /// Which.
        name: String,
        /// Why it is none.
        source: serde_json::Error,
    },
    /// The lock graph cannot be had.
    #[error("the lock graph cannot be read: {0}")]
    Graph(String),
    /// Nothing moves, and the graph shows no deadlock that could be broken up.
    #[error(
        "{policy} {group}: no operation ended for {seconds} s; the lock graph is above; run it again \
         with the same --seed to see whether it comes back"
    )]
    Stuck {
        /// The policy.
        policy: Policy,
        /// The operations.
        group: Group,
        /// How long.
        seconds: u64,
    },
    /// The result cannot be written.
    #[error("cannot write the result: {0}")]
    Output(io::Error),
    /// The lock graph's picture cannot be written.
    #[error("cannot write {path}: {source}; give another path with --svg", path = path.display())]
    Svg {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// How a demo ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Everything was as it must be.
    Passed,
    /// Data errors, I/O errors, or a deadlock where there must be none.
    Failed,
    /// A signal ended it.
    Interrupted,
}

/// Runs the demo to its end, or to the first signal.
///
/// # Errors
/// [`DemoError`]; all processes have ended by then, and the temporary files are gone.
pub(crate) async fn run(config: &DemoConfig) -> Result<Verdict, DemoError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DemoError::Start)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DemoError::Start)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(DemoError::Start)?;
    // Not found out only when there is a deadlock to draw.
    let directory = config
        .svg
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(Err(source)) = directory.map(fs::read_dir) {
        return Err(DemoError::Svg {
            path: config.svg.clone(),
            source,
        });
    }
    let layout = &config.layout;
    let path = config.volume.as_deref();
    let volume = Volume::prepare(path, layout.files as u64, layout.inode_bytes())?;
    let mut display = Display::new(config.json);
    display.show("starting the lock server");
    let mut cluster = Cluster::start().await?;
    let outcome = tokio::select! {
        biased;
        _ = interrupt.recv() => Ok(Verdict::Interrupted),
        _ = terminate.recv() => Ok(Verdict::Interrupted),
        _ = hang_up.recv() => Ok(Verdict::Interrupted),
        outcome = policies(config, &volume, &mut cluster, &mut display) => outcome,
    };
    if !matches!(outcome, Ok(Verdict::Passed | Verdict::Failed)) {
        display.clear();
    }
    cluster.end().await;
    outcome
}

async fn policies(
    config: &DemoConfig,
    volume: &Volume,
    cluster: &mut Cluster,
    display: &mut Display,
) -> Result<Verdict, DemoError> {
    let mut document = Document {
        seed: config.seed,
        nodes: config.layout.nodes,
        ..Document::default()
    };
    display.say(&config.describe());
    let mut drawn = false;
    for &policy in &config.policies {
        for (group, record) in
            one_policy(config, volume, cluster, display, policy, &mut drawn).await?
        {
            document.add(group, record);
        }
    }
    display.clear();
    conclude(config, &document).map_err(DemoError::Output)?;
    Ok(if document.failed() {
        Verdict::Failed
    } else {
        Verdict::Passed
    })
}

/// Both groups under one policy, on nodes of their own, and the look at the volume afterwards.
async fn one_policy(
    config: &DemoConfig,
    volume: &Volume,
    cluster: &mut Cluster,
    display: &mut Display,
    policy: Policy,
    drawn: &mut bool,
) -> Result<[(Group, Record); 2], DemoError> {
    display.show(&format!("{policy}: starting {} nodes", config.layout.nodes));
    cluster
        .start_nodes(&NodeSettings {
            volume: volume.path().into(),
            nodes: config.layout.nodes,
            hold_ms: config.hold_ms,
        })
        .await?;
    let phase = |group, length| {
        let (layout, seed) = (config.layout, config.seed);
        Phase {
            policy,
            group,
            layout,
            seed,
            length,
        }
    };
    let cross = phase(Group::Cross, config.length)
        .run(cluster, display)
        .await?;
    let mut cross_record = Record::new(policy, &cross);
    if let Some(deadlock) = &cross.deadlock {
        show_deadlock(config, display, policy, deadlock, drawn)?;
    }
    summarize(display, &cross_record, Group::Cross);

    let length = (config.length / SAME_FILE_PART).max(SAME_FILE_LENGTH_MIN);
    let same = phase(Group::SameFile, length).run(cluster, display).await?;
    cross_record.add_data_errors(&same.found);
    let mut same_record = Record::new(policy, &same);
    if let Some(deadlock) = &same.deadlock {
        show_deadlock(config, display, policy, deadlock, drawn)?;
    }
    display.show(&format!(
        "{policy}: stopping the nodes, checking the volume"
    ));
    cluster.stop_nodes().await?;
    let wrong = audit::audit(volume.path(), &config.layout, &same.ledgers);
    same_record.add_data_errors(&wrong.map_err(DemoError::Audit)?);
    summarize(display, &same_record, Group::SameFile);
    Ok([(Group::Cross, cross_record), (Group::SameFile, same_record)])
}

/// Tells of a deadlock that was found and has been broken up. Only the first one is drawn.
fn show_deadlock(
    config: &DemoConfig,
    display: &mut Display,
    policy: Policy,
    deadlock: &Deadlock,
    drawn: &mut bool,
) -> Result<(), DemoError> {
    display.say(&format!(
        "{policy}: the nodes are deadlocked. The cycle, as the lock graph has it:"
    ));
    display.say(&deadlock.text);
    if !*drawn {
        let failed = |source| DemoError::Svg {
            path: config.svg.clone(),
            source,
        };
        fs::write(&config.svg, &deadlock.svg).map_err(failed)?;
        display.say(&format!("The graph is drawn in {}.", config.svg.display()));
        *drawn = true;
    }
    display
        .say("Broken up: the nodes were told to interrupt their waits, and all tasks have ended.");
    Ok(())
}

fn summarize(display: &mut Display, record: &Record, group: Group) {
    let how = if record.deadlocked {
        "deadlocked"
    } else {
        "done"
    };
    let errors = record.data_errors + record.io_errors;
    let (policy, ops) = (record.policy, record.ops);
    display.say(&format!(
        "{policy} {group}: {how}, {ops} operations, {errors} errors"
    ));
    for error in &record.errors {
        display.say(&format!("  {error}"));
    }
}

fn conclude(config: &DemoConfig, document: &Document) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if config.json {
        serde_json::to_writer(&mut out, document)?;
        return writeln!(out);
    }
    let cross = "Cross: direct I/O whose buffer lies in mappings of other files";
    let same = "Same file: the buffer lies in a mapping of the same file, or in private mappings";
    writeln!(out, "\n{}", table::render(cross, &document.policies))?;
    writeln!(out, "{}", table::render(same, &document.same_file))?;
    for sentence in document.sentences() {
        writeln!(out, "{sentence}")?;
    }
    Ok(())
}
