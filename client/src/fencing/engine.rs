//! A container engine, by Docker's API over its socket: as much of it as stopping and starting containers takes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::instant;
use crate::error::innermost;

/// How long the engine may take for an answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The most bytes in one: the description of a container is some ten thousand.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Why the engine did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Nobody is there.
    #[error("cannot reach the container engine at {}: {why}; name its socket with --engine", socket.display())]
    Unreachable {
        /// Its socket.
        socket: PathBuf,
        /// Why not.
        why: String,
    },
    /// It says nothing.
    #[error("the container engine at {} does not answer", socket.display())]
    Late {
        /// Its socket.
        socket: PathBuf,
    },
    /// It will not.
    #[error("the container engine does not {what}: {why}")]
    Refused {
        /// What it was asked for.
        what: &'static str,
        /// What it says.
        why: String,
    },
    /// What it says means nothing.
    #[error(
        "the container engine's answer means nothing: {why}; is it another version of the API?"
    )]
    Answer {
        /// What is wrong with it.
        why: String,
    },
}

/// The engine behind a socket. A connection is made for each question: there are few.
#[derive(Clone, Debug)]
pub struct Engine {
    socket: PathBuf,
}

/// A container, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its number.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whether a process of it is there, stopped (paused) or not.
    pub runs: bool,
    /// When that was started; `None` where the engine does not say.
    pub started: Option<SystemTime>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    name: String,
    state: State,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
    restarting: bool,
    pid: u64,
    started_at: String,
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

impl Engine {
    /// The engine that listens at a socket.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// [`EngineError`]; so for all that follows.
    pub async fn ping(&self) -> Result<(), EngineError> {
        let asked = self.ask(Method::GET, "/_ping").await?;
        asked.expect("answer a ping", &[StatusCode::OK]).map(drop)
    }

    /// All containers with these labels, whether they run or not.
    pub async fn containers(&self, labels: &[(&str, &str)]) -> Result<Vec<Container>, EngineError> {
        let labels: Vec<String> = labels
            .iter()
            .map(|(key, is)| format!("{key}={is}"))
            .collect();
        let filters = serde_json::json!({ "label": labels }).to_string();
        let filters =
            percent_encoding::utf8_percent_encode(&filters, percent_encoding::NON_ALPHANUMERIC);
        let path = format!("/containers/json?all=true&filters={filters}");
        let asked = self.ask(Method::GET, &path).await?;
        let listed: Vec<Listed> = asked.expect("list containers", &[StatusCode::OK])?.json()?;
        let mut containers = Vec::new();
        for Listed { id } in listed {
            // One that is gone by now writes nothing.
            containers.extend(self.container(&id).await?);
        }
        Ok(containers)
    }

    /// A container, if it is there.
    pub async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        let asked = self
            .ask(Method::GET, &format!("/containers/{id}/json"))
            .await?;
        if asked.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let Inspected { id, name, state }: Inspected = asked
            .expect("describe a container", &[StatusCode::OK])?
            .json()?;
        Ok(Some(Container {
            id,
            name: name.trim_start_matches('/').to_owned(),
            // One that is about to be started again is said to run, and has no process.
            runs: state.pid > 0 || (state.running && !state.restarting),
            started: instant::parse(&state.started_at),
        }))
    }

    /// Kills all processes of a container, stopped ones too; its restart policy does not apply then. It may take a
    /// moment until they are gone.
    pub async fn kill(&self, id: &str) -> Result<(), EngineError> {
        let path = format!("/containers/{id}/kill?signal=SIGKILL");
        let asked = self.ask(Method::POST, &path).await?;
        // Not there, or not running: whoever asked looks again.
        let fine = [
            StatusCode::NO_CONTENT,
            StatusCode::NOT_FOUND,
            StatusCode::CONFLICT,
        ];
        asked.expect("kill a container", &fine).map(drop)
    }

    /// Starts a container that does not run.
    pub async fn start(&self, id: &str) -> Result<(), EngineError> {
        let asked = self
            .ask(Method::POST, &format!("/containers/{id}/start"))
            .await?;
        let fine = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
        asked.expect("start a container", &fine).map(drop)
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Asked, EngineError> {
        let asking = timeout(ANSWER_MAX, self.try_ask(method, path));
        let late = || EngineError::Late {
            socket: self.socket.clone(),
        };
        asking.await.map_err(|_| late())?
    }

    async fn try_ask(&self, method: Method, path: &str) -> Result<Asked, EngineError> {
        let unreachable = |why: String| EngineError::Unreachable {
            socket: self.socket.clone(),
            why,
        };
        let socket = UnixStream::connect(&self.socket).await;
        let socket = socket.map_err(|error| unreachable(error.to_string()))?;
        let connected = http1::handshake(TokioIo::new(socket)).await;
        let (mut sender, connection) = connected.map_err(|error| unreachable(innermost(&error)))?;
        // It ends with the sender.
        tokio::spawn(connection);
        let request = Request::builder().method(method).uri(path);
        let request = request.header(HOST, "engine").body(Empty::<Bytes>::new());
        let request = request.map_err(|error| unreachable(error.to_string()))?;
        let reply = sender.send_request(request).await;
        let reply = reply.map_err(|error| unreachable(innermost(&error)))?;
        let status = reply.status();
        let body = Limited::new(reply.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await;
        let body = body.map_err(|error| EngineError::Answer {
            why: error.to_string(),
        })?;
        let body = body.to_bytes();
        Ok(Asked { status, body })
    }
}

/// What the engine said.
struct Asked {
    status: StatusCode,
    body: Bytes,
}

impl Asked {
    fn expect(self, what: &'static str, fine: &[StatusCode]) -> Result<Self, EngineError> {
        if fine.contains(&self.status) {
            return Ok(self);
        }
        let complaint = serde_json::from_slice(&self.body);
        let why = complaint.map_or_else(
            |_| format!("it answers {}", self.status),
            |Complaint { message }| message,
        );
        Err(EngineError::Refused { what, why })
    }

    fn json<T: DeserializeOwned>(&self) -> Result<T, EngineError> {
        serde_json::from_slice(&self.body).map_err(|error| EngineError::Answer {
            why: error.to_string(),
        })
    }
}
