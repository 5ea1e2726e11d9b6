//! Scripts for the session: what it is told, and what it has to say.

mod broken;
mod cluster;
mod everywhere;
mod joining;
mod life;
mod random;
mod recovery;

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use dlm_core::cluster::{Endpoint, Name, Timing, Versions};
use dlm_core::{Epoch, Incarnation, LockId, LockspaceId, LogIndex, Mode, OpId, Owner};
use dlm_core::{RequestFlags, ResourceName, ServerId, SessionId, SlotId, Status};
use dlm_core::{StatusFlags, Tick, Token};

use super::call::{Call, CallAnswer, CallId};
use super::link::{Done, Event, FromServer, MasterPlace, OperationKind, PlaceOrigin, SlotMap};
use super::link::{SlotPlace, ToServer, Welcome};
use super::*;

pub(super) const SPACE: LockspaceId = LockspaceId(1);

pub(super) fn name(text: &str) -> ResourceName {
    ResourceName::new(text.as_bytes()).expect("a name")
}

pub(super) fn endpoint(server: u64) -> Endpoint {
    Endpoint::new(server.to_string()).expect("an endpoint")
}

pub(super) fn config(seed: u64) -> Config {
    Config {
        name: Name::new("node").expect("a name"),
        nonce: 7,
        versions: Versions { min: 1, max: 1 },
        attests: None,
        endpoints: vec![endpoint(1), endpoint(2)],
        timing: Timing::DEFAULT,
        seed,
    }
}

pub(super) fn request(lock: u64, resource: &str, mode: Mode, flags: RequestFlags) -> OperationKind {
    OperationKind::Request {
        lockspace: SPACE,
        lock: LockId(lock),
        name: name(resource),
        mode,
        flags,
        owner: Owner(1),
    }
}

pub(super) fn convert(lock: u64, mode: Mode, flags: RequestFlags) -> OperationKind {
    OperationKind::Convert {
        lock: LockId(lock),
        mode,
        flags,
        owner: Owner(1),
        value: None,
    }
}

pub(super) const fn unlock(lock: u64) -> OperationKind {
    OperationKind::Unlock {
        lock: LockId(lock),
        flags: RequestFlags::empty(),
        value: None,
    }
}

pub(super) fn granted(op: u64, lock: u64, mode: Mode, token: u64) -> Event {
    Event::Done(Done {
        op: OpId(op),
        lock: LockId(lock),
        status: Status::Granted,
        mode: Some(mode),
        token: Token(token),
        flags: StatusFlags::empty(),
        value: None,
        value_sequence: 0,
    })
}

pub(super) fn open_space(ticket: u64) -> Input {
    Input::OpenLockspace {
        ticket: Ticket(ticket),
        name: Name::new("space").expect("a name"),
        options: None,
    }
}

pub(super) fn opened() -> CallAnswer {
    CallAnswer::Opened {
        lockspace: SPACE,
        options: dlm_core::cluster::ClusterOptions::default(),
        replays: vec![],
    }
}

/// All slots at one server's process.
pub(super) fn map(index: u64, epoch: u32, origin: PlaceOrigin, server: u64) -> SlotMap {
    let place = |slot| SlotPlace {
        slot,
        epoch: Epoch(epoch),
        since: LogIndex(index),
        origin,
        serving: true,
        master: Some(MasterPlace {
            server: ServerId(server),
            incarnation: Incarnation(100 + server),
            endpoint: endpoint(server),
        }),
    };
    SlotMap {
        index: LogIndex(index),
        slots: SlotId::all().map(place).collect(),
    }
}

/// A session and its script.
pub(super) struct Stage {
    pub(super) now: Tick,
    pub(super) session: Session,
    pub(super) out: Vec<Output>,
    /// Everything that was ever said.
    pub(super) log: Vec<Output>,
    sequence: u64,
}

impl Stage {
    pub(super) fn new() -> Self {
        let now = Tick(0);
        let mut stage = Self {
            now,
            session: Session::new(now, config(1)),
            out: Vec::new(),
            log: Vec::new(),
            sequence: 0,
        };
        stage.input(Input::Clock);
        stage
    }

    pub(super) fn at(&mut self, ms: u64) -> &mut Self {
        self.now = Tick(ms * 1000);
        self
    }

    pub(super) fn input(&mut self, input: Input) -> &mut Self {
        self.out.clear();
        self.session.step(self.now, input, &mut self.out);
        self.log.extend(self.out.iter().cloned());
        self
    }

    /// The call of this kind that was just made, and where.
    pub(super) fn call(&self, is_it: impl Fn(&Call) -> bool) -> (CallId, Endpoint) {
        let mut calls = self.out.iter().filter_map(|output| match output {
            Output::Call {
                call,
                endpoint,
                request,
            } if is_it(request) => Some((*call, endpoint.clone())),
            _ => None,
        });
        calls
            .next()
            .unwrap_or_else(|| panic!("no call in {:?}", self.out))
    }

    pub(super) fn answer(&mut self, call: CallId, answer: CallAnswer) -> &mut Self {
        self.input(Input::Answered { call, answer })
    }

    pub(super) fn joined(&mut self) -> &mut Self {
        let (call, _) = self.call(|call| matches!(call, Call::Join { .. }));
        let answer = CallAnswer::Joined {
            session: SessionId(5),
            joined: LogIndex(10),
            version: 1,
            lease_us: Timing::DEFAULT.session_lease_us,
        };
        self.answer(call, answer)
    }

    /// Joined, with all slots at server 1.
    pub(super) fn ready() -> Self {
        let mut stage = Self::new();
        stage.joined();
        let (call, _) = stage.call(|call| *call == Call::Map);
        stage.answer(call, CallAnswer::Map(map(10, 1, PlaceOrigin::Lost, 1)));
        stage.welcome(1, 0, map(10, 1, PlaceOrigin::Lost, 1));
        stage.input(open_space(99));
        let (call, _) = stage.call(|call| matches!(call, Call::OpenLockspace { .. }));
        stage.answer(call, opened());
        stage
    }

    /// The stream that was just asked for is opened.
    pub(super) fn welcome(&mut self, server: u64, last_number: u64, map: SlotMap) -> &mut Self {
        let mut opened = self.out.iter().filter_map(|output| match output {
            Output::Open { stream, hello, .. } => Some((*stream, hello.after)),
            _ => None,
        });
        let (stream, _) = opened
            .next_back()
            .unwrap_or_else(|| panic!("no stream in {:?}", self.out));
        let incarnation = Incarnation(100 + server);
        self.receive(
            stream,
            FromServer::Welcome(Welcome {
                version: 1,
                incarnation,
                last_number,
                map,
            }),
        )
    }

    pub(super) fn receive(&mut self, stream: StreamId, message: FromServer) -> &mut Self {
        self.input(Input::Received { stream, message })
    }

    /// An event of a resource's slot, from the next number on.
    pub(super) fn event(&mut self, stream: u64, at: (&str, u32), event: Event) -> &mut Self {
        self.sequence += 1;
        let sequence = self.sequence;
        self.numbered(stream, sequence, at, event)
    }

    pub(super) fn numbered(
        &mut self,
        stream: u64,
        sequence: u64,
        (resource, epoch): (&str, u32),
        event: Event,
    ) -> &mut Self {
        let slot = Some((SlotId::of(SPACE, &name(resource)), Epoch(epoch)));
        let message = FromServer::Event {
            sequence,
            slot,
            event,
        };
        self.receive(StreamId(stream), message)
    }

    pub(super) fn operate(&mut self, ticket: u64, kind: OperationKind) -> &mut Self {
        let ticket = Ticket(ticket);
        self.input(Input::Operate { ticket, kind })
    }

    /// Everything that was just sent, acknowledgements left out.
    pub(super) fn sent(&self) -> Vec<ToServer> {
        let sent = self.out.iter().filter_map(|output| match output {
            Output::Send { message, .. } => Some(message.clone()),
            _ => None,
        });
        sent.filter(|message| !matches!(message, ToServer::Acknowledge { .. }))
            .collect()
    }

    /// The operations that were just sent: number and operation.
    pub(super) fn operations(&self) -> Vec<(u64, u64)> {
        let sent = self.sent();
        let operations = sent.iter().filter_map(|message| match message {
            ToServer::Operation { number, op, .. } => Some((*number, op.0)),
            _ => None,
        });
        operations.collect()
    }

    /// How tickets were just answered.
    pub(super) fn answers(&self) -> Vec<(u64, Answer)> {
        let answers = self.out.iter().filter_map(|output| match output {
            Output::Answer { ticket, answer } => Some((ticket.0, answer.clone())),
            _ => None,
        });
        answers.collect()
    }

    /// The status of each lock operation that was just answered.
    pub(super) fn statuses(&self) -> Vec<(u64, Status)> {
        let answers = self.answers().into_iter();
        let statuses = answers.filter_map(|(ticket, answer)| match answer {
            Answer::Lock(completion) => Some((ticket, completion.status)),
            _ => None,
        });
        statuses.collect()
    }
}
