//! What comes over the sessions' streams.
//!
//! **A session that is not live in the applied state gets nothing.** One that this server has not heard
//! of may have joined a moment ago: the client tries again.

use dlm_core::link::{FromServer, Hello, StreamRefusal, ToServer, Welcome};
use dlm_core::{SessionId, SlotId};
use glockwork_proto::VersionRange;

use super::Node;
use super::masters::{Operation, Work};
use super::message::{Output, StreamId};
use super::streams::Numbered;
use super::words;

impl Node {
    /// A client opens a stream.
    pub(super) fn open_stream(&mut self, stream: StreamId, hello: &Hello, out: &mut Vec<Output>) {
        let (version, incarnation) = match self.admit(hello) {
            Ok(admitted) => admitted,
            Err(why) => return out.push(Output::StreamEnd { stream, why }),
        };
        let map = self.map(SlotId::all());
        let welcome = |last_number| {
            FromServer::Welcome(Welcome {
                version,
                incarnation,
                last_number,
                map,
            })
        };
        self.streams
            .open((stream, hello), incarnation, welcome, out);
    }

    fn admit(&self, hello: &Hello) -> Result<(u32, dlm_core::Incarnation), StreamRefusal> {
        let theirs = VersionRange {
            min: hello.versions.min,
            max: hello.versions.max,
        };
        let version = VersionRange::OURS
            .newest_common(theirs)
            .map_err(|_| StreamRefusal::Version)?;
        let incarnation = self.incarnation.ok_or(StreamRefusal::SessionUnknown)?;
        let known = self.state.sessions().get(&hello.session);
        // Who does not know the nonce is somebody else, and learns nothing.
        let known = known.filter(|known| known.nonce == hello.nonce);
        match known {
            None => Err(StreamRefusal::SessionUnknown),
            Some(known) if known.is_live() => Ok((version, incarnation)),
            Some(_) => Err(StreamRefusal::SessionDead),
        }
    }

    /// A message came. One over a stream that is not the newest of its session does nothing.
    pub(super) fn stream_says(
        &mut self,
        stream: StreamId,
        message: ToServer,
        out: &mut Vec<Output>,
    ) {
        let Some(session) = self.streams.session_of(stream) else {
            return;
        };
        let number = match &message {
            ToServer::Hello(_) => {
                return self.streams.end(stream, StreamRefusal::Numbers, out);
            }
            ToServer::Acknowledge { sequence } => {
                return self.streams.acknowledge(session, *sequence);
            }
            ToServer::Operation { number, .. }
            | ToServer::Everywhere { number, .. }
            | ToServer::Claims { number, .. }
            | ToServer::Unreadable { number, .. } => *number,
        };
        match self.streams.check(session, number) {
            Numbered::Next => {}
            Numbered::Again => return,
            Numbered::Refused(why) => return self.streams.end(stream, why, out),
        }
        if let ToServer::Operation { slot, kind, .. } = &message
            && words::is_of_other_slot(*slot, kind)
        {
            return self.streams.end(stream, StreamRefusal::OtherSlot, out);
        }
        self.streams.take(session, number);
        self.take(session, message, out);
    }

    fn take(&mut self, session: SessionId, message: ToServer, out: &mut Vec<Output>) {
        match message {
            ToServer::Operation {
                op,
                slot,
                epoch,
                kind,
                ..
            } => {
                let input = words::operation(session, op, kind);
                let work = Work::Operation(Operation { session, op, input });
                self.route((slot, epoch), work, out);
            }
            ToServer::Everywhere { op, kind, .. } => {
                let input = words::everywhere(session, op, kind);
                self.everywhere((session, op), &input, out);
            }
            ToServer::Claims {
                slot,
                epoch,
                claims,
                done,
                ..
            } => {
                let work = Work::Claims {
                    session,
                    claims,
                    done,
                };
                self.route((slot, epoch), work, out);
            }
            ToServer::Unreadable { op, lock, why, .. } => {
                let event = words::refused(op, lock, why);
                self.tell(session, None, event, out);
            }
            ToServer::Hello(_) | ToServer::Acknowledge { .. } => {}
        }
    }
}
