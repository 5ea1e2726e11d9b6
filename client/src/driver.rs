//! The driver: one task that has the session's machine, and one loop: wait, step, act.
//!
//! The time comes first: after every wakeup the machine is told how late it is before it is told anything else,
//! so that a process that was stopped for longer than its lease learns that its session is over before it
//! hears of anything that happened meanwhile. (Answers to calls come before that: the machine looks at the clock
//! itself before it takes one, and one that is there is in time.)
//!
//! However much there is to do, the rest of the process gets its turn, and what keeps the session alive goes past
//! everything else: answers to calls have a channel of their own, and a long frame or a long queue of commands
//! is done in pieces.

use std::collections::{HashMap, VecDeque};
use std::future::ready;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

use dlm_core::cluster::{Endpoint, Timing};
use dlm_core::link::{Event, FromServer, RequestId};
use dlm_core::{OpId, Tick};
use glock_core::session::call::{Call, CallAnswer, CallId};
use glock_core::session::{
    Input, Loss, OPERATIONS_MAX, Output, Phase, Session as Machine, StreamId,
};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::calls;
use crate::channels::Channels;
use crate::clock::{self, Alarm};
use crate::counters::Counting;
use crate::joining::{CallFailure, Joining};
use crate::limits::{COMMANDS_AT_ONCE_MAX, HAPPENED_MAX, STEPS_AT_ONCE_MAX, UNLOCKS_MAX};
use crate::routes::Routes;
use crate::session::{Command, Shared, Wish};
use crate::stream::Stream;

#[cfg(test)]
mod tests;

/// A call has ended.
struct Answered {
    call: CallId,
    endpoint: Endpoint,
    answer: Result<CallAnswer, CallFailure>,
}

/// What streams tell.
pub(crate) enum Happened {
    /// Messages came.
    Frame {
        stream: StreamId,
        messages: Vec<FromServer>,
    },
    /// A stream has ended, or could not be opened.
    Closed { stream: StreamId },
}

/// Why the driver woke.
enum Woken {
    /// It is time for something, or there is more to do.
    Time,
    Answered(Answered),
    Happened(Happened),
    /// There are commands in the queue.
    Commands,
    /// All handles are gone.
    NoHandles,
}

pub(crate) struct Driver {
    shared: Arc<Shared>,
    machine: Machine,
    /// How long a call may take.
    call_max: Duration,
    alarm: Alarm,
    channels: Channels,
    streams: HashMap<StreamId, Stream>,
    answers: mpsc::Receiver<Answered>,
    answer: mpsc::Sender<Answered>,
    happened: mpsc::Receiver<Happened>,
    tells: mpsc::Sender<Happened>,
    /// What is left of a frame.
    reading: Option<(StreamId, vec::IntoIter<FromServer>)>,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Commands taken, for which there was no room yet.
    queued: VecDeque<Command>,
    /// More of them could be done now than were.
    more: bool,
    routes: Routes,
    /// Steps of the machine since the rest of the process had its turn.
    steps: usize,
    /// Until the session has begun.
    joining: Option<Joining>,
    /// The session is to end when all unlocks are answered, at the latest then.
    closes: Option<Tick>,
    /// Everyone was told that the session is over.
    told: bool,
    /// It ends at once, and the machine with it.
    broken: bool,
    outputs: Vec<Output>,
}

/// What a driver begins with.
pub(crate) struct Beginning {
    pub(crate) shared: Arc<Shared>,
    pub(crate) machine: Machine,
    pub(crate) timing: Timing,
    pub(crate) alarm: Alarm,
    pub(crate) channels: Channels,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) joining: Joining,
}

impl Driver {
    pub(crate) fn new(beginning: Beginning) -> Self {
        let (tells, happened) = mpsc::channel(HAPPENED_MAX);
        let (answer, answers) = mpsc::channel(HAPPENED_MAX);
        Self {
            shared: beginning.shared,
            machine: beginning.machine,
            call_max: Duration::from_micros(beginning.timing.call_us_max),
            alarm: beginning.alarm,
            channels: beginning.channels,
            streams: HashMap::new(),
            answers,
            answer,
            happened,
            tells,
            reading: None,
            commands: beginning.commands,
            queued: VecDeque::new(),
            more: false,
            routes: Routes::default(),
            steps: 0,
            joining: Some(beginning.joining),
            closes: None,
            told: false,
            broken: false,
            outputs: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self) {
        self.step(Input::Clock);
        while !self.is_over() {
            self.turn().await;
        }
        self.end();
    }

    /// Waits, and does some of what there is to do.
    async fn turn(&mut self) {
        if self.steps >= STEPS_AT_ONCE_MAX {
            self.steps = 0;
            yield_now().await;
        }
        let woken = self.wait().await;
        let (answered, woken) = match woken {
            Woken::Answered(answered) => (Some(answered), Woken::Time),
            woken => (None, woken),
        };
        if let Some(answered) = answered {
            self.answered(answered);
        }
        while let Ok(answered) = self.answers.try_recv() {
            self.answered(answered);
        }
        self.step(Input::Clock);
        match woken {
            Woken::Happened(happened) => self.happened(happened),
            Woken::NoHandles => self.close(),
            Woken::Time | Woken::Answered(_) | Woken::Commands => {}
        }
        self.read();
        self.ask();
        self.look_at_the_time();
    }

    fn is_over(&self) -> bool {
        self.broken || self.machine.phase() == Phase::Over
    }

    /// Waits until something happens.
    async fn wait(&mut self) -> Woken {
        let times = [
            self.machine.wake_at(),
            self.closes,
            self.joining.as_ref().map(|joining| joining.until),
        ];
        if let Err(error) = self.alarm.set(times.into_iter().flatten().min()) {
            self.fail(format!("its clock failed: {error}"));
            return Woken::Time;
        }
        let listens = self.queued.is_empty() && self.closes.is_none() && !self.told;
        let busy = self.more || self.reading.is_some();
        let mut commands = Vec::new();
        tokio::select! {
            rung = self.alarm.rings() => {
                if let Err(error) = rung {
                    self.fail(format!("its clock failed: {error}"));
                }
                Woken::Time
            }
            () = ready(()), if busy => Woken::Time,
            // The driver has a sender itself, so that there is always another.
            Some(answered) = self.answers.recv() => Woken::Answered(answered),
            Some(happened) = self.happened.recv(), if self.reading.is_none() => {
                Woken::Happened(happened)
            }
            count = self.commands.recv_many(&mut commands, COMMANDS_AT_ONCE_MAX), if listens => {
                self.shared.taken(count);
                self.queued.extend(commands);
                if count == 0 { Woken::NoHandles } else { Woken::Commands }
            }
        }
    }

    /// One step of the machine, and what follows from it.
    fn step(&mut self, input: Input) {
        self.steps += 1;
        let mut outputs = std::mem::take(&mut self.outputs);
        self.machine.step(clock::now(), input, &mut outputs);
        let (ends, held_us) = (self.machine.lease_ends(), self.machine.lease_held_us());
        self.shared.lives_until(ends, held_us);
        // Who waits learns why the session is over, and not only that.
        let loss = outputs.iter().find_map(|output| match output {
            Output::Lost { why } => Some(why.clone()),
            _ => None,
        });
        if let Some(why) = loss {
            self.lost(why);
        } else if let Some(lost) = self.shared.lost() {
            // Somebody looked at the clock, and acts upon it already.
            let why = lost.why.clone();
            self.broken |= !self.told;
            self.tell(why);
        }
        for output in outputs.drain(..) {
            self.act(output);
        }
        self.outputs = outputs;
    }

    fn act(&mut self, output: Output) {
        let done = match output {
            Output::Call {
                call,
                endpoint,
                request,
            } => {
                self.call(call, endpoint, request);
                Ok(())
            }
            Output::Open {
                stream,
                endpoint,
                hello,
            } => {
                let channel = self.channels.to(&endpoint);
                let (shared, tells) = (Arc::clone(&self.shared), self.tells.clone());
                let opened = Stream::open((stream, channel), hello, shared, tells);
                self.streams.insert(stream, opened);
                Ok(())
            }
            Output::Send { stream, message } => {
                if let Some(op) = message.op() {
                    Counting::add(&self.shared.counting.operations_sent, 1);
                    let request = self.request(op);
                    tracing::trace!(
                        request = request.map(tracing::field::display),
                        ?message,
                        "sent"
                    );
                }
                if let Some(stream) = self.streams.get(&stream) {
                    stream.send(message);
                }
                Ok(())
            }
            Output::Close { stream } => {
                self.streams.remove(&stream);
                Ok(())
            }
            Output::Joined { session, .. } => {
                if let Some(joining) = self.joining.take() {
                    joining.joined(session);
                }
                Ok(())
            }
            Output::Answer { ticket, answer } => self.routes.answered(ticket, answer, &self.shared),
            Output::Blocking { lock, mode } => self.routes.blocking(lock, mode, &self.shared),
            Output::Orphaned { lock, owner } => self.routes.orphaned(lock, owner),
            Output::Weakened { lock, mode } => self.routes.weakened(lock, mode),
            // Everyone was told before.
            Output::Lost { .. } | Output::Ended => Ok(()),
        };
        if let Err(why) = done {
            self.fail(why);
        }
    }

    /// What the servers' logs call an operation.
    fn request(&self, op: OpId) -> Option<RequestId> {
        let session = self.machine.id()?;
        Some(RequestId { session, op })
    }

    fn call(&mut self, call: CallId, endpoint: Endpoint, request: Call) {
        let channel = self.channels.to(&endpoint);
        let (tells, call_max) = (self.answer.clone(), self.call_max);
        tokio::spawn(async move {
            let answer = match channel {
                Err(error) => Err(CallFailure::Failed(error.to_string())),
                Ok(channel) => match timeout(call_max, calls::make(channel, request)).await {
                    Err(_) => Err(CallFailure::Late),
                    Ok(answer) => answer.map_err(CallFailure::Failed),
                },
            };
            let answered = Answered {
                call,
                endpoint,
                answer,
            };
            // Where nobody hears it the session is over.
            let _ = tells.send(answered).await;
        });
    }

    fn answered(&mut self, answered: Answered) {
        let Answered {
            call,
            endpoint,
            answer,
        } = answered;
        if let Some(joining) = &mut self.joining {
            joining.tried(&endpoint, &answer);
        }
        if let Err(why) = &answer {
            tracing::debug!(%endpoint, ?why, "a call failed");
        }
        let answer = answer.unwrap_or(CallAnswer::Failed);
        self.step(Input::Answered { call, answer });
    }

    fn happened(&mut self, happened: Happened) {
        match happened {
            Happened::Frame { stream, messages } => {
                self.reading = Some((stream, messages.into_iter()));
            }
            Happened::Closed { stream } => {
                self.streams.remove(&stream);
                self.step(Input::Closed { stream });
            }
        }
    }

    /// Takes as many messages of the frame as are taken at once.
    fn read(&mut self) {
        for _ in 0..STEPS_AT_ONCE_MAX {
            let Some((stream, messages)) = &mut self.reading else {
                return;
            };
            let (stream, Some(message)) = (*stream, messages.next()) else {
                self.reading = None;
                return;
            };
            if let FromServer::Event { event, .. } = &message
                && let Some(op) = event.op()
            {
                let request = self.request(op);
                tracing::trace!(
                    request = request.map(tracing::field::display),
                    ?event,
                    "answered"
                );
                if matches!(event, Event::Done(_)) {
                    self.shared.traces.ends(op);
                }
            }
            self.step(Input::Received { stream, message });
        }
    }

    /// Asks the machine for what is wanted, as far as there is room, and as much as is asked at once.
    fn ask(&mut self) {
        let until = self.steps + STEPS_AT_ONCE_MAX;
        self.more = false;
        while !self.is_over() && !self.told && self.machine.counts().1 < OPERATIONS_MAX {
            let listens = self.closes.is_none() && self.routes.has_room();
            let next = self.routes.next();
            let next = match next {
                None if listens => self.queued.pop_front(),
                next => next,
            };
            let Some(command) = next else {
                break;
            };
            self.command(command);
            if self.steps >= until {
                self.more = true;
                break;
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Close => self.close(),
            Command::Abort { why } => self.fail(why),
            Command::Ask { wish, answer } => {
                let Some((ticket, wish)) = self.routes.asked(wish, answer) else {
                    return;
                };
                let op = self.machine.next_op();
                if let Wish::Lock(kind) = &wish {
                    self.shared.traces.begins(kind.lock(), op);
                }
                self.step(match wish {
                    Wish::Lock(kind) => Input::Operate { ticket, kind },
                    Wish::Many(kind) => Input::Everywhere { ticket, kind },
                    Wish::Open { name, options } => Input::OpenLockspace {
                        ticket,
                        name,
                        options,
                    },
                });
                if self.machine.next_op() == op {
                    // It was answered here.
                    self.shared.traces.ends(op);
                }
            }
        }
    }

    /// The session is not wanted any more.
    fn close(&mut self) {
        if self.closes.is_none() {
            let max_us = u64::try_from(UNLOCKS_MAX.as_micros()).unwrap_or(u64::MAX);
            self.closes = Some(clock::now().plus(max_us));
        }
    }

    /// What is due by the driver's own times.
    fn look_at_the_time(&mut self) {
        let now = clock::now();
        let gives_up = |joining: &Joining| joining.is_hopeless() || joining.until <= now;
        if self.joining.as_ref().is_some_and(gives_up) {
            if let Some(joining) = self.joining.take() {
                joining.given_up();
            }
            self.fail("the cluster did not let it in".to_owned());
        }
        // Once more: a session that is over may not say goodbye.
        if self.is_over() || self.told {
            return;
        }
        if self
            .closes
            .is_some_and(|at| at <= now || !self.routes.unlocks())
        {
            // Everyone knows before the locks are given to others.
            self.tell("it was closed by this client".to_owned());
            self.step(Input::Goodbye);
        }
    }

    fn lost(&mut self, why: Loss) {
        if let Some(joining) = self.joining.take() {
            match &why {
                Loss::Join(refusal) => joining.refused(refusal.clone()),
                _ => joining.given_up(),
            }
        }
        self.tell(why.to_string());
    }

    /// It ends here and now, without a goodbye.
    fn fail(&mut self, why: String) {
        self.broken = true;
        self.tell(why);
    }

    /// Everyone is told that the session is over, once.
    fn tell(&mut self, why: String) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        tracing::debug!(servers = self.shared.servers, why, "session over");
        self.closes = None;
        self.shared.lose(why);
        std::mem::take(&mut self.routes).lost();
        for command in self.queued.drain(..) {
            command.lost();
        }
    }

    /// Nothing is heard or said any more.
    fn end(mut self) {
        self.tell("its driver has stopped".to_owned());
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            command.lost();
        }
        self.shared.end();
    }
}
