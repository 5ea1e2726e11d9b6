//! A client of the log: it joins, opens lockspaces, says goodbye, and begins anew; each over a stream to
//! one server, and over one to another where the first does not answer.

use dlm_core::cluster::{Command, CommandRefusal, Join, Name, Reply, Versions};
use dlm_core::{SessionId, Tick};
use glockwork_proto::render;

use super::super::process::{Birth, InputOf, OutputOf};
use super::super::{Input, Output, ProcessId, Random, StreamKey};
use super::{Bytes, Message, Part, place_of};
use crate::checkers::{ClientId, Fact, Ticket};

/// How long it waits for an answer before it asks another server.
const PATIENCE_US: u64 = 300_000;

/// How long it does nothing between two calls, at most.
const PAUSE_US_MAX: u64 = 700_000;

/// How long it waits after it was told that a server does not lead.
const AGAIN_US_MAX: u64 = 50_000;

/// The lockspaces that clients open; fewer than clients, so that they share them.
const LOCKSPACES: u64 = 3;

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Join,
    Open(SessionId, u64),
    Goodbye(SessionId),
}

/// What it does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// Nothing, until it wants something.
    Pausing,
    /// It waits for an answer.
    Waiting,
    /// It waits a little before it asks the server that it was sent to.
    Turning,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    birth: Birth,
    random: Random,
    servers: u32,
    server: ProcessId,
    sessions: u64,
    nonce: u64,
    step: Step,
    doing: Doing,
    /// Its stream to that server, kept for as long as it is good.
    stream: Option<StreamKey>,
    /// The number of the call, and of the streams so far.
    call: u64,
    streams: u64,
}

type Out = Vec<OutputOf<Part>>;

impl Client {
    pub(super) fn start(now: Tick, birth: Birth, servers: u32, out: &mut Out) -> Self {
        let mut random = Random::new(birth.seed);
        let server = ProcessId(random.below(servers.into()) as u32);
        let nonce = random.draw();
        let mut client = Self {
            birth,
            random,
            servers,
            server,
            sessions: 1,
            nonce,
            step: Step::Join,
            doing: Doing::Pausing,
            stream: None,
            call: 0,
            streams: 0,
        };
        client.pause(now, out);
        client
    }

    /// The session that it has now, or will have.
    #[must_use]
    pub const fn id(&self) -> ClientId {
        let Birth { id, life, .. } = self.birth;
        ClientId(((id.0 as u64) << 32) + ((life as u64) << 16) + self.sessions)
    }

    pub(super) fn step(&mut self, now: Tick, input: InputOf<Part>, out: &mut Out) {
        match input {
            Input::Wake => match self.doing {
                Doing::Pausing => self.begin(now, out),
                Doing::Waiting => {
                    self.hang_up(out);
                    self.server = ProcessId(self.random.below(self.servers.into()) as u32);
                    self.ask(now, out);
                }
                Doing::Turning => self.ask(now, out),
            },
            Input::Message { stream, message } if self.stream == Some(stream) => {
                self.hears(now, message, out);
            }
            Input::Closed { stream } if self.stream == Some(stream) => {
                self.stream = None;
                if self.doing == Doing::Waiting {
                    self.turn(now, out);
                }
            }
            _ => {}
        }
    }

    fn hears(&mut self, now: Tick, message: Message, out: &mut Out) {
        if self.doing != Doing::Waiting {
            return;
        }
        match message {
            Message::Done { number, reply } if number == self.call => {
                self.answered(now, reply, out);
            }
            Message::Elsewhere { number, leader } if number == self.call => {
                let next = leader.map(place_of).filter(|place| *place != self.server);
                if let Some(next) = next {
                    self.hang_up(out);
                    self.server = next;
                }
                self.turn(now, out);
            }
            _ => {}
        }
    }

    fn turn(&mut self, now: Tick, out: &mut Out) {
        self.doing = Doing::Turning;
        let micros = self.random.below(AGAIN_US_MAX);
        out.push(Output::WakeAt(now.plus(micros)));
    }

    fn pause(&mut self, now: Tick, out: &mut Out) {
        self.doing = Doing::Pausing;
        let micros = self.random.below(PAUSE_US_MAX);
        out.push(Output::WakeAt(now.plus(micros)));
    }

    fn begin(&mut self, now: Tick, out: &mut Out) {
        self.call += 1;
        out.push(Output::Fact(Fact::Called {
            client: self.id(),
            ticket: Ticket(self.call),
            what: format!("{:?}", self.step),
        }));
        self.ask(now, out);
    }

    fn ask(&mut self, now: Tick, out: &mut Out) {
        self.doing = Doing::Waiting;
        let command = Bytes(render::command(&self.command()));
        let number = self.call;
        let message = Message::Ask { number, command };
        out.push(match self.stream {
            Some(stream) => Output::Message { stream, message },
            None => self.open(message),
        });
        out.push(Output::WakeAt(now.plus(PATIENCE_US)));
    }

    fn open(&mut self, message: Message) -> OutputOf<Part> {
        self.streams += 1;
        let (to, number) = (self.server, self.streams);
        let (opener, life) = (self.birth.id, self.birth.life);
        self.stream = Some(StreamKey {
            opener,
            life,
            number,
        });
        Output::Open {
            to,
            number,
            message,
        }
    }

    fn hang_up(&mut self, out: &mut Out) {
        let stream = self.stream.take();
        out.extend(stream.map(|stream| Output::Close { stream }));
    }

    fn command(&self) -> Command {
        match self.step {
            Step::Join => Command::Join(Join {
                nonce: self.nonce.into(),
                name: Name::new(format!("client {}", self.birth.id.0)).expect("a name"),
                versions: Versions { min: 1, max: 1 },
                attests: None,
            }),
            Step::Open(session, which) => Command::OpenLockspace {
                session,
                name: Name::new(format!("lockspace {which}")).expect("a name"),
                options: None,
            },
            Step::Goodbye(session) => Command::Goodbye { session },
        }
    }

    fn answered(&mut self, now: Tick, reply: Reply, out: &mut Out) {
        let next = match (self.step, &reply) {
            (Step::Join, Reply::Joined { session, .. }) => {
                Step::Open(*session, self.random.below(LOCKSPACES))
            }
            (Step::Join, Reply::Refused(CommandRefusal::NotRunning)) => {
                self.turn(now, out);
                return;
            }
            (Step::Open(session, _), Reply::LockspaceOpened { .. }) => {
                if self.random.per_mille(500) {
                    Step::Open(session, self.random.below(LOCKSPACES))
                } else {
                    Step::Goodbye(session)
                }
            }
            // The first time that it was asked for it was done.
            (Step::Goodbye(_), Reply::Done | Reply::Refused(CommandRefusal::NoSuchSession)) => {
                Step::Join
            }
            (step, reply) => panic!("{step:?} is answered {reply:?}"),
        };
        let client = self.id();
        out.push(Output::Fact(Fact::Answered {
            client,
            ticket: Ticket(self.call),
            how: format!("{reply:?}"),
        }));
        self.step = next;
        if next == Step::Join {
            out.push(Output::Fact(Fact::Left { client }));
            self.sessions += 1;
            self.nonce = self.random.draw();
        }
        self.pause(now, out);
    }
}
