//! What a session asks for, one operation at a time.

use dlm_core::{Input, LockId, LockspaceId, LockspaceOptions, OpId, Output, Refusal, SessionId};
use dlm_core::{Status, StatusFlags};
use glockwork_proto::Name;
use glockwork_proto::frame::{Event, Operation, OperationKind, RefusedOperation};

use super::Shard;
use crate::error::SessionError;
use crate::outbox::{End, Full};

impl Shard {
    pub(super) fn operation(&mut self, session: SessionId, operation: Operation) {
        let op = operation.op;
        let input = match operation.kind {
            OperationKind::OpenLockspace { name, options } => {
                return self.open_lockspace(session, op, &name, options);
            }
            OperationKind::LeaveLockspace { lockspace } => {
                return self.leave_lockspace(session, op, lockspace);
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
                value,
            } => Input::Convert {
                session,
                op,
                lock,
                mode,
                flags,
                owner,
                value,
            },
            OperationKind::Unlock { lock, flags, value } => Input::Unlock {
                session,
                op,
                lock,
                flags,
                value,
            },
            OperationKind::Cancel { lock } => Input::Cancel { session, op, lock },
            OperationKind::OwnerEnded { owner } => Input::OwnerEnded { session, op, owner },
            OperationKind::PurgeOrphans { lockspace, owner } => Input::PurgeOrphans {
                session,
                op,
                lockspace,
                owner,
            },
        };
        self.input(input);
    }

    fn open_lockspace(
        &mut self,
        session: SessionId,
        op: OpId,
        name: &Name,
        wanted: Option<LockspaceOptions>,
    ) {
        let Some(from) = self.sessions.get_mut(&session) else {
            return;
        };
        // A session counts once for a lockspace, however often it opens it.
        let has_it = |id: &LockspaceId| from.lockspaces.contains(id);
        let opened = if self.lockspaces.id(name).filter(has_it).is_some() {
            let opened = self.lockspaces.look(name, wanted);
            opened.map(|opened| opened.expect("it is open"))
        } else {
            self.lockspaces.open(name, wanted)
        };
        let event = match opened {
            Err(why) => Event::LockspaceRefused { op, why },
            Ok(opened) => {
                let (lockspace, options) = (opened.id, opened.options);
                from.lockspaces.insert(lockspace);
                if opened.made {
                    self.input(Input::ConfigureLockspace { lockspace, options });
                }
                self.input(Input::OpenLockspace { session, lockspace });
                Event::LockspaceOpened {
                    op,
                    lockspace,
                    options,
                }
            }
        };
        self.tell(session, event);
    }

    fn leave_lockspace(&mut self, session: SessionId, op: OpId, lockspace: LockspaceId) {
        let Some(from) = self.sessions.get_mut(&session) else {
            return;
        };
        if !from.lockspaces.remove(&lockspace) {
            return self.refuse(session, op, LockId(0), Refusal::NoSuchLockspace);
        }
        self.input(Input::LeaveLockspace {
            session,
            op,
            lockspace,
        });
        self.close_lockspace(lockspace);
    }

    /// One session less has it open.
    pub(super) fn close_lockspace(&mut self, lockspace: LockspaceId) {
        if self.lockspaces.close(lockspace) {
            self.input(Input::LockspaceEnded { lockspace });
        }
    }

    /// What could not be read as an operation is answered all the same.
    pub(super) fn not_read(&mut self, session: SessionId, refused: RefusedOperation) {
        match refused {
            RefusedOperation::Lock { op, lock, refusal } => {
                self.refuse(session, op, lock, refusal);
            }
            RefusedOperation::Lockspace { op, why } => {
                self.tell(session, Event::LockspaceRefused { op, why });
            }
        }
    }

    /// Tells a session what is not the lock table's to say, after what happened before it.
    fn tell(&mut self, session: SessionId, event: Event) {
        self.deliver();
        let Some(to) = self.sessions.get(&session) else {
            return;
        };
        if to.outbox.push(event) == Err(Full) {
            self.leave(session, End::Error(SessionError::OutputsQueued));
        }
    }

    fn refuse(&mut self, session: SessionId, op: OpId, lock: LockId, refusal: Refusal) {
        let held = self.table.held(session, lock);
        self.outputs.push(Output::Done {
            session,
            op,
            lock,
            status: Status::Refused(refusal),
            mode: held.map(|(mode, _)| mode),
            token: held.map(|(_, token)| token).unwrap_or_default(),
            flags: StatusFlags::empty(),
            value: None,
            value_sequence: 0,
        });
    }
}
