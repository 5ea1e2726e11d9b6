//! The owner of the lock table and of the sessions: one task, one loop.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use dlm_core::{
    Input, Limits, LockId, LockTable, OpId, Output, Refusal, SessionId, Status, Tick, Token,
};
use glockwork_proto::convert::ParsedClientFrame;
use glockwork_proto::frame::{Event, Hello, Operation, OperationKind, Welcome};
use glockwork_proto::{Name, VersionRange};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{info, warn};

mod command;
mod inspect;
#[cfg(test)]
mod tests;

pub(crate) use command::{Command, Seen};

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
            table: LockTable::new(limits),
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
                let (session, event) = addressed(output);
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
            self.lockspaces.close(lockspace);
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
            self.refuse(session, refused.op, refused.lock, refused.refusal);
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

    fn operation(&mut self, session: SessionId, operation: Operation) {
        let op = operation.op;
        let input = match operation.kind {
            OperationKind::OpenLockspace { name } => {
                return self.open_lockspace(session, op, &name);
            }
            OperationKind::Request {
                lockspace,
                lock,
                name,
                mode,
                flags,
                owner,
            } => Input::Request {
                session,
                op,
                lockspace,
                lock,
                name,
                mode,
                flags,
                owner,
            },
            OperationKind::Convert {
                lock,
                mode,
                flags,
                owner,
            } => Input::Convert {
                session,
                op,
                lock,
                mode,
                flags,
                owner,
            },
            OperationKind::Unlock { lock } => Input::Unlock { session, op, lock },
            OperationKind::Cancel { lock } => Input::Cancel { session, op, lock },
        };
        self.input(input);
    }

    fn open_lockspace(&mut self, session: SessionId, op: OpId, name: &Name) {
        // What happened before it is told before it.
        self.deliver();
        let Some(from) = self.sessions.get_mut(&session) else {
            return;
        };
        let already = self.lockspaces.id(name);
        let lockspace = match already.filter(|id| from.lockspaces.contains(id)) {
            Some(lockspace) => lockspace,
            None => match self.lockspaces.open(name) {
                Ok(lockspace) => lockspace,
                Err(refusal) => return self.refuse(session, op, LockId(0), refusal),
            },
        };
        from.lockspaces.insert(lockspace);
        let opened = Event::LockspaceOpened { op, lockspace };
        let pushed = from.outbox.push(opened);
        self.input(Input::OpenLockspace { session, lockspace });
        if pushed == Err(Full) {
            self.leave(session, End::Error(SessionError::OutputsQueued));
        }
    }

    fn refuse(&mut self, session: SessionId, op: OpId, lock: LockId, refusal: Refusal) {
        self.outputs.push(Output::Done {
            session,
            op,
            lock,
            status: Status::Refused(refusal),
            mode: None,
            token: Token(0),
        });
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

/// Whom an output is for, and what it is called on the wire.
fn addressed(output: Output) -> (SessionId, Event) {
    match output {
        Output::Done {
            session,
            op,
            lock,
            status,
            mode,
            token,
        } => (
            session,
            Event::Done {
                op,
                lock,
                status,
                mode,
                token,
            },
        ),
        Output::Blocking {
            session,
            lock,
            mode,
        } => (session, Event::Blocking { lock, mode }),
    }
}
