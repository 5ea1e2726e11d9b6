//! A client as raw as it gets: it joins by a call, opens streams as it likes, and says on them what it likes.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test program uses a part of it"
)]

mod hears;
mod link;
mod says;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use dlm_core::cluster::{ClusterOptions, CommandRefusal, Versions};
use dlm_core::link::{Event, FromServer, Hello, ToServer, Welcome};
use dlm_core::{
    Epoch, Incarnation, LockspaceId, LockspaceOptions, Mode, ResourceName, SessionId, SlotId,
    Status, Token,
};
use dlm_server::embedded::Server;
use glockwork_proto::cluster::Answer;
use glockwork_proto::glocks::GlocksQuery;
use glockwork_proto::holders::QueryId;
use glockwork_proto::link::{FromServerFrame, ToServerFrame};
use glockwork_proto::wire::cluster_client::ClusterClient;
use glockwork_proto::{VersionRange, convert, render, wire};
use tonic::transport::Channel;

pub(crate) use link::{Ended, Link, PATIENCE, Renewing, channel, connect, serve};

/// What this build speaks.
pub(crate) const VERSIONS: Versions = Versions {
    min: VersionRange::OURS.min,
    max: VersionRange::OURS.max,
};

/// A lockspace's options, where only the table's are of interest.
pub(crate) fn of_table(locks: LockspaceOptions) -> ClusterOptions {
    ClusterOptions {
        locks,
        ..ClusterOptions::default()
    }
}

/// What a test compares: how an operation ended, or that somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Done(u64, Status, Option<Mode>),
    Blocking(u64, Mode),
}

/// A nonce that no other session of the test has.
pub(crate) fn nonce() -> u128 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed).into()
}

/// What a client joins with.
pub(crate) fn join_request(nonce: u128, name: &str) -> wire::JoinRequest {
    wire::JoinRequest {
        nonce: render::identity(nonce),
        name: name.into(),
        version_min: VERSIONS.min,
        version_max: VERSIONS.max,
        attests: None,
    }
}

/// A session with one lockspace and one stream open.
pub(crate) struct Raw {
    pub(crate) session: SessionId,
    pub(crate) nonce: u128,
    pub(crate) lockspace: LockspaceId,
    pub(crate) calls: ClusterClient<Channel>,
    pub(crate) link: Link,
    /// The stream's generation.
    pub(crate) generation: u64,
    pub(crate) incarnation: Incarnation,
    /// The last event that it has, or says that it has.
    pub(crate) seen: u64,
    /// Whether it says so with whatever it sends next.
    pub(crate) acknowledges: bool,
    /// The number of what it sent last.
    pub(crate) number: u64,
    pub(crate) tokens: Vec<Token>,
    /// Each slot's epoch.
    pub(crate) epochs: BTreeMap<SlotId, Epoch>,
    /// Where its locks are.
    slots: BTreeMap<u64, SlotId>,
    op: u64,
    channel: Channel,
    renewing: Option<Renewing>,
    events: VecDeque<Event>,
    queries: VecDeque<QueryId>,
    glocks_queries: VecDeque<GlocksQuery>,
}

impl Raw {
    /// Joins, opens the lockspace `test` and a stream, and renews its lease from now on.
    pub(crate) async fn join(server: &Server, name: &str) -> Self {
        Self::join_over(&channel(server).await, name, "test").await
    }

    /// The same over a connection to a server, which has to lead, with another lockspace.
    pub(crate) async fn join_over(channel: &Channel, name: &str, lockspace: &str) -> Self {
        let mut calls = ClusterClient::new(channel.clone());
        let nonce = nonce();
        let reply = calls.join(join_request(nonce, name)).await.unwrap();
        let Answer::Done(joined) = convert::join_reply(reply.into_inner()).unwrap() else {
            panic!("it joins");
        };
        let renewing = Some(Renewing::of((joined.session.0, nonce), channel));
        let hello = hello(joined.session, nonce);
        let (link, welcome) = Self::open_link(channel, hello).await;
        let mut raw = Self {
            session: joined.session,
            nonce,
            lockspace: LockspaceId(0),
            calls,
            link,
            generation: 1,
            incarnation: welcome.incarnation,
            seen: 0,
            acknowledges: true,
            number: 0,
            tokens: Vec::new(),
            epochs: BTreeMap::new(),
            slots: BTreeMap::new(),
            op: 0,
            channel: channel.clone(),
            renewing,
            events: VecDeque::new(),
            queries: VecDeque::new(),
            glocks_queries: VecDeque::new(),
        };
        raw.learn(welcome.map);
        raw.open(lockspace, None).await.unwrap();
        raw
    }

    async fn open_link(channel: &Channel, hello: Hello) -> (Link, Welcome) {
        let mut link = Link::open(channel, first_frame(hello)).await;
        let first = link.next().await.unwrap().expect("a first frame");
        let mut messages = VecDeque::from(first.messages);
        let Some(FromServer::Welcome(welcome)) = messages.pop_front() else {
            panic!("a welcome comes first");
        };
        // What comes with it is read as what comes after it.
        link.put_back(FromServerFrame {
            messages: messages.into(),
            ..first
        });
        (link, welcome)
    }

    /// What its next stream begins with.
    pub(crate) fn next_hello(&self) -> Hello {
        Hello {
            generation: self.generation + 1,
            incarnation: Some(self.incarnation),
            after: self.seen,
            ..hello(self.session, self.nonce)
        }
    }

    /// Opens another stream and goes on over that. It sends nothing again.
    pub(crate) async fn link_again(&mut self) -> Welcome {
        let hello = self.next_hello();
        self.generation = hello.generation;
        let (link, welcome) = Self::open_link(&self.channel, hello).await;
        self.link = link;
        assert_eq!(welcome.incarnation, self.incarnation, "the same process");
        self.learn(welcome.map.clone());
        welcome
    }

    /// Opens a lockspace, and uses it from now on.
    pub(crate) async fn open(
        &mut self,
        name: &str,
        options: Option<ClusterOptions>,
    ) -> Result<ClusterOptions, CommandRefusal> {
        let request = wire::OpenLockspaceRequest {
            session: self.session.0,
            nonce: render::identity(self.nonce),
            name: name.into(),
            options: options.map(render::cluster_options),
        };
        let reply = self.calls.open_lockspace(request).await.unwrap();
        match convert::open_lockspace_reply(reply.into_inner()).unwrap() {
            Answer::Done(opened) => {
                self.lockspace = opened.lockspace;
                Ok(opened.options)
            }
            Answer::Refused(why) => Err(why),
            Answer::Leader(at) => panic!("another server leads: {at:?}"),
        }
    }

    /// Ends it.
    pub(crate) async fn goodbye(&mut self) {
        let request = wire::GoodbyeRequest {
            session: self.session.0,
            nonce: render::identity(self.nonce),
        };
        let reply = self.calls.goodbye(request).await;
        let answer = convert::plain_reply(reply.unwrap().into_inner()).unwrap();
        assert_eq!(answer, Answer::Done(()));
    }

    /// Does not renew its lease any more.
    pub(crate) fn falls_silent(&mut self) {
        self.renewing = None;
    }
}

/// The name of a resource.
pub(crate) fn resource(name: &str) -> ResourceName {
    ResourceName::new(name.as_bytes()).unwrap()
}

/// A session's first stream begins so.
pub(crate) fn hello(session: SessionId, nonce: u128) -> Hello {
    Hello {
        versions: VERSIONS,
        session,
        nonce,
        generation: 1,
        incarnation: None,
        after: 0,
    }
}

pub(crate) fn first_frame(hello: Hello) -> wire::ToServerFrame {
    frame(vec![ToServer::Hello(hello)])
}

/// A frame with these in it.
pub(crate) fn frame(messages: Vec<ToServer>) -> wire::ToServerFrame {
    render::to_server_frame(ToServerFrame {
        messages,
        ..ToServerFrame::default()
    })
}
