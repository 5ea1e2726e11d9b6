//! What it hears on its stream.

use dlm_core::link::{Done, Event, FromServer, SlotMap};
use dlm_core::{Mode, Status};
use glockwork_proto::glocks::GlocksQuery;
use glockwork_proto::holders::HoldersReport;
use glockwork_proto::link::ToServerFrame;
use glockwork_proto::render;

use super::{Raw, Told};

impl Raw {
    /// What happens next.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.read_frame().await;
        }
    }

    async fn read_frame(&mut self) {
        let frame = self.link.next().await.unwrap();
        let frame = frame.expect("the stream goes on");
        self.queries.extend(frame.holders_query);
        self.glocks_queries.extend(frame.glocks_query);
        for message in frame.messages {
            match message {
                // What it has, it drops.
                FromServer::Event { sequence, .. } if sequence <= self.seen => {}
                FromServer::Event {
                    sequence, event, ..
                } => {
                    assert_eq!(sequence, self.seen + 1, "no event is left out");
                    self.seen = sequence;
                    self.events.push_back(event);
                }
                FromServer::Map(map) => self.learn(map),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    pub(super) fn learn(&mut self, map: SlotMap) {
        let places = map.slots.into_iter();
        self.epochs.extend(places.map(|it| (it.slot, it.epoch)));
    }

    /// What comes next, by lock. That something waits is passed over.
    pub(crate) async fn told(&mut self) -> Told {
        loop {
            match self.event().await {
                Event::Queued { .. } => {}
                Event::Done(done) => {
                    self.tokens.push(done.token);
                    return Told::Done(done.lock.0, done.status, done.mode);
                }
                Event::Blocking { lock, mode } => return Told::Blocking(lock.0, mode),
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    /// The answer that comes next.
    pub(crate) async fn done(&mut self) -> Done {
        match self.event().await {
            Event::Done(done) => done,
            other => panic!("unexpected {other:?}"),
        }
    }

    /// How many locks went.
    pub(crate) async fn purged(&mut self) -> u32 {
        match self.event().await {
            Event::Purged { locks, .. } => locks,
            other => panic!("unexpected {other:?}"),
        }
    }

    /// Waits until a request waits.
    pub(crate) async fn queued(&mut self, lock: u64) {
        let event = self.event().await;
        assert!(
            matches!(&event, Event::Queued { lock: told, .. } if told.0 == lock),
            "{event:?}"
        );
    }

    /// Requests a lock that is free.
    pub(crate) async fn hold(&mut self, lock: u64, name: &str, mode: Mode) {
        self.request(lock, name, mode).await;
        let granted = Told::Done(lock, Status::Granted, Some(mode));
        assert_eq!(self.told().await, granted);
    }

    /// Waits for a question after glocks.
    pub(crate) async fn glocks_query(&mut self) -> GlocksQuery {
        while self.glocks_queries.is_empty() {
            self.read_frame().await;
        }
        self.glocks_queries.pop_front().unwrap()
    }

    /// Waits for a query and answers it as a client without glocks does.
    pub(crate) async fn answer_query(&mut self) {
        while self.queries.is_empty() {
            self.read_frame().await;
        }
        let query = self.queries.pop_front().unwrap();
        let holders = Some(HoldersReport {
            query,
            tasks: Vec::new(),
            glocks: Vec::new(),
        });
        let answer = render::to_server_frame(ToServerFrame {
            holders,
            ..ToServerFrame::default()
        });
        self.link.send(answer).await;
    }
}
