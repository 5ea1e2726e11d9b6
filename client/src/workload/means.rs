//! By which something is done to a member: by the servers and nodes themselves, or by a command that has power over
//! their processes.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use dlm_core::ServerId;
use glockwork_proto::Name;
use glockwork_runs::{Direction, Member as Who, Verb};
use tokio::process::Command;
use tokio::time::timeout;

use super::error::WorkloadError;
use crate::Servers;
use crate::fault::{self, Fault, FaultOptions, Member};
use crate::nodes::{NodeHandle, StoreFailure, StoreFault};

/// How long the command may take: a container is stopped and started.
const CONTROL_MAX: Duration = Duration::from_secs(60);

/// A command that breaks members for real, as its words.
#[derive(Clone, Debug)]
pub(super) struct Control(Vec<String>);

impl Control {
    pub(super) fn parse(text: &str) -> Result<Self, WorkloadError> {
        match shlex::split(text) {
            Some(words) if !words.is_empty() => Ok(Self(words)),
            _ => Err(WorkloadError::Usage(format!(
                "--control: `{text}` is no command"
            ))),
        }
    }

    /// Does it, to one member.
    async fn run(&self, verb: &str, who: &Who) -> Result<(), String> {
        let name = match who {
            Who::Node(name) => name.clone(),
            Who::Server(number) => format!("server{number}"),
        };
        let mut command = Command::new(&self.0[0]);
        command.args(&self.0[1..]).args([verb, &name]);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let output = match timeout(CONTROL_MAX, command.output()).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => return Err(format!("{} cannot be run: {error}", self.0[0])),
            Err(_) => {
                let (words, most) = (self.0.join(" "), CONTROL_MAX.as_secs());
                return Err(format!("{words} {verb} {name} takes longer than {most} s"));
            }
        };
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().last().unwrap_or("it said nothing");
        Err(format!("{} {verb} {name}: {last}", self.0.join(" ")))
    }
}

/// What can be done, and to whom.
#[derive(Debug)]
pub(super) struct Means {
    pub(super) control: Option<Control>,
    /// Where each server is found.
    pub(super) servers: BTreeMap<u64, Servers>,
}

impl Means {
    /// Whether it can be done at all.
    pub(super) fn check(&self, verb: Verb) -> Result<(), String> {
        let of_processes = matches!(
            verb,
            Verb::Kill | Verb::Restart | Verb::RestartRolling | Verb::Pause | Verb::Resume
        );
        if of_processes && self.control.is_none() {
            return Err("it takes a command with power over processes; give --control, such as --control deploy/cluster"
                .into());
        }
        Ok(())
    }

    /// Does something to one member. `handle` is the way to it, where it is a node.
    pub(super) async fn act(
        &self,
        verb: Verb,
        who: &Who,
        handle: Option<NodeHandle>,
    ) -> Result<(), String> {
        match (verb, &self.control) {
            (Verb::Cut(Direction::Both), Some(control)) => control.run("partition", who).await,
            (Verb::Cut(direction), _) => self.inject(who, direction, Fault::Cut).await,
            (
                Verb::Slow {
                    direction,
                    delay_us,
                },
                _,
            ) => {
                self.inject(who, direction, Fault::Delay { us: delay_us })
                    .await
            }
            (Verb::Heal, Some(control)) => {
                control.run("heal", who).await?;
                // What was put in by the servers themselves; they may have been started without leave.
                let _ = self.heal(who).await;
                Ok(())
            }
            (Verb::Heal, None) => self.heal(who).await,
            (Verb::Kill, Some(control)) => control.run("kill", who).await,
            (Verb::Restart | Verb::RestartRolling, Some(control)) => {
                control.run("restart", who).await
            }
            (Verb::Pause, Some(control)) => control.run("pause", who).await,
            (Verb::Resume, Some(control)) => control.run("resume", who).await,
            (Verb::StallStore, _) => store(handle, StoreFault::Stall).await,
            (Verb::SlowStore { delay_us }, _) => {
                store(handle, StoreFault::Delay { us: delay_us }).await
            }
            (Verb::FailStore, _) => store(handle, StoreFault::Fail).await,
            (Verb::ReleaseStore, _) => store(handle, StoreFault::None).await,
            (
                Verb::Kill | Verb::Restart | Verb::RestartRolling | Verb::Pause | Verb::Resume,
                None,
            ) => self.check(verb),
        }
    }

    /// Puts a fault in, on each link of the member, at each server that has an end of it.
    async fn inject(&self, who: &Who, direction: Direction, fault: Fault) -> Result<(), String> {
        for (member, other) in self.links(who)? {
            let (from, to) = match direction {
                Direction::Both | Direction::From => (member, other),
                Direction::To => (other, member),
            };
            for at in self.ends(&from, &to) {
                let options = FaultOptions {
                    from: from.clone(),
                    to: to.clone(),
                    one_way: direction != Direction::Both,
                    fault,
                    lasts: None,
                };
                fault::inject_here(at, options)
                    .await
                    .map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    async fn heal(&self, who: &Who) -> Result<(), String> {
        let mut failed = None;
        for (from, to) in self.links(who)? {
            for at in self.ends(&from, &to) {
                let healed = fault::heal_here(at, Some((from.clone(), to.clone()))).await;
                if let Err(error) = healed {
                    failed = Some(error.to_string());
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The links of a member: it, and whoever is at the other end.
    fn links(&self, who: &Who) -> Result<Vec<(Member, Member)>, String> {
        let server = |number: u64| Member::Server(ServerId(number));
        let servers = self.servers.keys().copied();
        Ok(match who {
            Who::Node(name) => {
                let name = Name::new(name.as_str()).map_err(|error| error.to_string())?;
                let node = Member::Session(name);
                servers
                    .map(|number| (node.clone(), server(number)))
                    .collect()
            }
            Who::Server(own) => {
                let others = servers.filter(|number| number != own).map(server);
                let others = others.chain([Member::Sessions]);
                others.map(|other| (server(*own), other)).collect()
            }
        })
    }

    /// The servers that have an end of a link. They are asked one by one, since a server that is cut off does not hear
    /// of it from others.
    fn ends(&self, from: &Member, to: &Member) -> impl Iterator<Item = &Servers> {
        let number = |member: &Member| match member {
            Member::Server(server) => Some(server.0),
            Member::Session(_) | Member::Sessions => None,
        };
        let ends = [number(from), number(to)];
        ends.into_iter()
            .flatten()
            .filter_map(|number| self.servers.get(&number))
    }
}

async fn store(handle: Option<NodeHandle>, fault: StoreFault) -> Result<(), String> {
    let handle = handle.ok_or("it is no node")?;
    let failure = StoreFailure {
        fault,
        for_us: None,
    };
    handle
        .fail_store(failure)
        .await
        .map_err(|error| error.to_string())
}
