//! A lock server, asked over gRPC by the client library's event-level interface, behind the desk.
//!
//! A step is one operation, and then the lockspace opened again: the server answers in order, so that
//! everything that came of the operation has arrived when that is answered. Nothing depends on time.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use dlm_client::asts::{Ast, AstEvents, Asts, Ticket};
use dlm_client::{Client, ConnectOptions, LockError, Lockspace, Servers, Value, ValueBlock};
use dlm_core::{Input, OpId, Output};
use dlm_server::embedded;
use tokio::runtime::{Builder, Runtime};

use super::desk::{Desk, LOCKSPACE, Locks, SESSION};

/// A server on a free port of loopback, and the runtime that everything runs on.
pub struct Server {
    runtime: Runtime,
    server: embedded::Server,
    /// How many desks were made.
    desks: Cell<u64>,
}

impl Server {
    /// Starts one.
    ///
    /// # Errors
    /// Where the machine does not let it.
    pub fn start() -> Result<Self, Box<dyn std::error::Error>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = runtime.block_on(embedded::Server::start(any))?;
        Ok(Self {
            runtime,
            server,
            desks: Cell::new(0),
        })
    }

    /// A desk in front of a new session in a new lockspace.
    ///
    /// # Panics
    /// Where the server does not answer.
    #[must_use]
    pub fn desk(&self) -> Desk<Grpc<'_>> {
        let number = self.desks.get() + 1;
        self.desks.set(number);
        let name = format!("scenario {number}");
        let servers = Servers::parse(&self.server.addr().to_string()).expect("an endpoint");
        let (client, lockspace) = self.runtime.block_on(async {
            let options = ConnectOptions {
                servers,
                name: name.clone(),
            };
            let client = Client::connect(options).await.expect(ANSWERS);
            let lockspace = client.lockspace(&name).await.expect(ANSWERS);
            (client, lockspace)
        });
        let (asts, events) = client.asts();
        Desk::new(Grpc {
            server: self,
            client: Some(client),
            lockspace,
            asts,
            events,
            operations: BTreeMap::new(),
        })
    }
}

const ANSWERS: &str = "the lock server answers";

/// A session with the server.
pub struct Grpc<'a> {
    server: &'a Server,
    client: Option<Client>,
    lockspace: Lockspace,
    asts: Asts,
    events: AstEvents,
    /// The desk's numbers of operations that are not answered yet.
    operations: BTreeMap<Ticket, OpId>,
}

impl Grpc<'_> {
    fn ask(&self, input: Input) -> Result<(OpId, Ticket), LockError> {
        let Self {
            asts, lockspace, ..
        } = self;
        Ok(match input {
            Input::Request {
                op,
                lock,
                name,
                mode,
                flags,
                owner,
                ..
            } => {
                let name = name.as_bytes();
                (op, asts.request(lockspace, lock, name, mode, flags, owner)?)
            }
            Input::Convert {
                op,
                lock,
                mode,
                flags,
                owner,
                value,
                ..
            } => {
                let value = value.as_ref().map(ValueBlock::as_bytes);
                (op, asts.convert(lock, mode, flags, owner, value)?)
            }
            Input::Unlock {
                op,
                lock,
                flags,
                value,
                ..
            } => {
                let value = value.as_ref().map(ValueBlock::as_bytes);
                (op, asts.unlock(lock, flags, value)?)
            }
            Input::Cancel { op, lock, .. } => (op, asts.cancel(lock)?),
            Input::OwnerEnded { op, owner, .. } => (op, asts.owner_ended(owner)?),
            other => unreachable!("the desk does not ask for {other:?}"),
        })
    }

    fn output(&mut self, event: Ast) -> Output {
        let session = SESSION;
        match event {
            Ast::Completion {
                ticket,
                lock,
                status,
                mode,
                token,
                flags,
                value,
            } => Output::Done {
                session,
                op: self.answered(ticket),
                lock,
                status,
                mode,
                token,
                flags,
                value: value.map(|value| match value {
                    Value::Valid(block) | Value::NotValid(block) => block,
                }),
                value_sequence: 0,
            },
            Ast::Blocking { lock, mode } => Output::Blocking {
                session,
                lock,
                mode,
            },
            Ast::Weakened { .. } => panic!("no server is lost"),
            Ast::Orphaned { lock, owner } => Output::Orphaned {
                session,
                lock,
                owner,
            },
            Ast::Purged { ticket, locks } => Output::Purged {
                session,
                op: self.answered(ticket),
                locks,
            },
        }
    }

    fn answered(&mut self, ticket: Ticket) -> OpId {
        let op = self.operations.remove(&ticket);
        op.expect("every operation is answered once")
    }
}

impl Locks for Grpc<'_> {
    fn step(&mut self, input: Input) -> Vec<Output> {
        if let Input::Request { lockspace, .. } = &input {
            assert_eq!(*lockspace, LOCKSPACE, "the desk has one lockspace");
        }
        let barrier = async {
            let (op, ticket) = self.ask(input)?;
            self.asts.barrier(&self.lockspace).await?;
            Ok::<_, LockError>((op, ticket))
        };
        let asked = self.server.runtime.block_on(barrier);
        let (op, ticket) = asked.expect(ANSWERS);
        self.operations.insert(ticket, op);
        let mut outputs = Vec::new();
        while let Some(event) = self.events.arrived() {
            outputs.push(self.output(event));
        }
        outputs
    }

    fn wait(&mut self, ms: u64) {
        let time = Duration::from_millis(ms);
        let waits = async { tokio::time::sleep(time).await };
        self.server.runtime.block_on(waits);
    }
}

impl Drop for Grpc<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            // Sessions and lockspaces are limited: this one is over before the next begins.
            self.server.runtime.block_on(client.close());
        }
    }
}
