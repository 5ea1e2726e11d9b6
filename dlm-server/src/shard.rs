//! The owner of the lock table and of the sessions: one task, one loop.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use dlm_core::{Input, Limits, LockTable, Output, SessionId, Tick};
use glockwork_proto::VersionRange;
use glockwork_proto::convert::ParsedClientFrame;
use glockwork_proto::frame::{Event, Hello, Welcome};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

mod command;
mod inspect;
mod operation;
#[cfg(test)]
mod tests;

pub(crate) use command::{Command, Listed, Orphans, Seen};

use crate::error::SessionError;
use crate::limits::{FRAMES_QUEUED_MAX, SESSIONS_MAX};
use crate::lockspaces::Lockspaces;
use crate::look::Looks;
use crate::outbox::{End, Full, Outbox};
use crate::session::Session;

/// The lock table, the sessions, and what they have to do with each other.
#[derive(Debug)]
pub(crate) struct Shard {
    table: LockTable,
    sessions: BTreeMap<SessionId, Session>,
    session_last: u64,
    lockspaces: Lockspaces,
    looks: Looks,
    outputs: Vec<Output>,
    started: Instant,
    /// When the command in hand was taken up: one moment for all that it causes.
    now: Tick,
}

impl Shard {
    /// Starts one on this runtime. It ends on [`Command::Stop`], and before that only if it panics: a
    /// lock table that broke a rule must not go on.
    pub(crate) fn start(limits: Limits) -> (mpsc::Sender<Command>, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(FRAMES_QUEUED_MAX);
        let running = tokio::spawn(Self::new(limits).run(receiver));
        (sender, running)
    }

    fn new(limits: Limits) -> Self {
        Self {
            // Names come from outside: nobody there knows how they are hashed.
            table: LockTable::new(limits, RandomState::new().hash_one(0)),
            sessions: BTreeMap::new(),
            session_last: 0,
            lockspaces: Lockspaces::default(),
            looks: Looks::default(),
            outputs: Vec::new(),
            started: Instant::now(),
            now: Tick(0),
        }
    }

    async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            self.now = Tick(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX));
            if self.step(command).is_break() {
                break;
            }
            self.deliver();
        }
    }

    fn step(&mut self, command: Command) -> ControlFlow<()> {
        // Whoever asked may have gone meanwhile; then nobody misses the answer.
        match command {
            Command::Join {
                hello,
                outbox,
                joined,
            } => {
                let _ = joined.send(self.join(hello, outbox));
            }
            Command::Frame { session, parsed } => self.frame(session, parsed),
            Command::Leave { session, end } => self.leave(session, end),
            Command::StartLook { started } => {
                let _ = started.send(self.start_look());
            }
            Command::FinishLook {
                query,
                lockspace,
                finished,
            } => {
                let _ = finished.send(self.finish_look(query, lockspace));
            }
            Command::Locks { lockspace, answer } => {
                let _ = answer.send(self.locks(lockspace));
            }
            Command::Lockspaces { answer } => {
                let _ = answer.send(self.list_lockspaces());
            }
            Command::Purge { orphans, answer } => {
                let _ = answer.send(self.purge(orphans));
            }
            Command::LongWait { us, answer } => {
                let _ = answer.send(self.somebody_waits(us));
            }
            Command::EndWaits { victims } => self.end_waits(victims),
            Command::Status { answer } => {
                let _ = answer.send(self.status());
            }
            Command::Stop => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    /// Hands the table's outputs to the sessions they are for. A session that does not read its own is
    /// ended, which gives the table more outputs.
    fn deliver(&mut self) {
        while !self.outputs.is_empty() {
            let mut full = Vec::new();
            for output in self.outputs.drain(..) {
                let Some((session, event)) = addressed(output) else {
                    continue;
                };
                // A session that has ended is not told how its operations did.
                let Some(to) = self.sessions.get(&session) else {
                    continue;
                };
                if to.outbox.push(event) == Err(Full) && !full.contains(&session) {
                    full.push(session);
                }
            }
            for session in full {
                self.leave(session, End::Error(SessionError::OutputsQueued));
            }
        }
    }

    fn join(&mut self, hello: Hello, outbox: Arc<Outbox>) -> Result<SessionId, SessionError> {
        let version = VersionRange::OURS.newest_common(hello.versions)?;
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(SessionError::Sessions);
        }
        self.session_last += 1;
        let session = SessionId(self.session_last);
        info!(session = session.0, name = %hello.name, "joined");
        outbox.welcome(Welcome { version, session });
        self.input(Input::SessionStarted { session });
        self.sessions
            .insert(session, Session::new(hello.name, outbox));
        Ok(session)
    }

    fn leave(&mut self, session: SessionId, end: End) {
        let Some(left) = self.sessions.remove(&session) else {
            return;
        };
        match &end {
            End::Quiet => info!(session = session.0, name = %left.name, "left"),
            End::Error(why) => warn!(session = session.0, name = %left.name, %why, "ended"),
        }
        left.outbox.end(end);
        self.input(Input::SessionEnded { session });
        self.looks.session_ended(session);
        for lockspace in left.lockspaces {
            self.close_lockspace(lockspace);
        }
    }

    fn frame(&mut self, session: SessionId, parsed: ParsedClientFrame) {
        let Some(from) = self.sessions.get_mut(&session) else {
            return;
        };
        let ParsedClientFrame { frame, refused } = parsed;
        from.outbox.settle(frame.operations.len() + refused.len());
        if let Err(why) = from.count(&frame.operations) {
            return self.leave(session, End::Error(why.into()));
        }
        for refused in refused {
            self.not_read(session, refused);
        }
        for operation in frame.operations {
            self.operation(session, operation);
        }
        if let Some(report) = frame.report {
            self.looks.report(session, report);
        }
        if frame.goodbye {
            self.deliver();
            self.leave(session, End::Quiet);
        }
    }

    fn input(&mut self, input: Input) {
        self.table.step(self.now, input, &mut self.outputs);
    }
}

impl Drop for Shard {
    /// However it ended, nobody is left waiting.
    fn drop(&mut self) {
        for session in self.sessions.values() {
            session.outbox.end(End::Error(SessionError::Stopping));
        }
    }
}

/// Whom an output is for, and what it is called on the wire. A position in a queue is of use only where a
/// lock may have to be claimed from another server: here there is none.
fn addressed(output: Output) -> Option<(SessionId, Event)> {
    Some(match output {
        Output::Done {
            session,
            op,
            lock,
            status,
            mode,
            token,
            flags,
            value,
            ..
        } => (
            session,
            Event::Done {
                op,
                lock,
                status,
                mode,
                token,
                flags,
                value,
            },
        ),
        Output::Blocking {
            session,
            lock,
            mode,
        } => (session, Event::Blocking { lock, mode }),
        Output::Orphaned {
            session,
            lock,
            owner,
        } => (session, Event::Orphaned { lock, owner }),
        Output::Purged { session, op, locks } => (session, Event::Purged { op, locks }),
        Output::Queued { .. } => return None,
    })
}
