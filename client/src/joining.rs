//! Until the cluster has let the client in: who was asked, what came of it, and when to give up.

use dlm_core::cluster::{CommandRefusal, Endpoint};
use dlm_core::{SessionId, Tick};
use glock_core::session::call::CallAnswer;
use tokio::sync::oneshot;

use crate::endpoints::Servers;
use crate::error::{ConnectError, Tried};
use crate::limits::CHANNELS_MAX;

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallFailure {
    /// None came in time.
    Late,
    /// The transport, or what came over it, says so.
    Failed(String),
}

/// Who waits for the session's beginning.
pub(crate) struct Joining {
    servers: Servers,
    tried: Vec<(Endpoint, String)>,
    /// Those of the servers that were given of which the transport said that they cannot be reached.
    unreachable: Vec<Endpoint>,
    /// Whether anybody said anything at all, or may yet.
    heard: bool,
    pub(crate) until: Tick,
    tell: oneshot::Sender<Result<SessionId, ConnectError>>,
}

impl Joining {
    pub(crate) const fn new(
        servers: Servers,
        until: Tick,
        tell: oneshot::Sender<Result<SessionId, ConnectError>>,
    ) -> Self {
        Self {
            servers,
            tried: Vec::new(),
            unreachable: Vec::new(),
            heard: false,
            until,
            tell,
        }
    }

    /// A call has ended.
    pub(crate) fn tried(&mut self, endpoint: &Endpoint, answer: &Result<CallAnswer, CallFailure>) {
        let why = match answer {
            Err(CallFailure::Failed(why)) => {
                if !self.unreachable.contains(endpoint) {
                    self.unreachable.push(endpoint.clone());
                }
                why.clone()
            }
            other => {
                self.heard = true;
                match other {
                    Err(_) => "it did not answer in time".to_owned(),
                    Ok(CallAnswer::NotLeader(None)) => "it knows of no leader".to_owned(),
                    Ok(CallAnswer::NotLeader(Some(leader))) => format!("{leader} leads, it says"),
                    Ok(CallAnswer::Refused(why)) => why.to_string(),
                    Ok(_) => return,
                }
            }
        };
        if let Some(known) = self.tried.iter_mut().find(|(each, _)| each == endpoint) {
            known.1 = why;
        } else if self.tried.len() < CHANNELS_MAX {
            self.tried.push((endpoint.clone(), why));
        }
    }

    /// Whether there is nobody to wait for: none of the servers can be reached.
    pub(crate) fn is_hopeless(&self) -> bool {
        let mut servers = self.servers.endpoints().iter();
        !self.heard && servers.all(|server| self.unreachable.contains(server))
    }

    /// The session has begun.
    pub(crate) fn joined(self, session: SessionId) {
        // Whoever connects may have stopped waiting; then the session has no handle, and ends.
        let _ = self.tell.send(Ok(session));
    }

    /// The cluster does not want the client.
    pub(crate) fn refused(self, why: CommandRefusal) {
        let servers = self.servers.to_string();
        let _ = self.tell.send(Err(ConnectError::Refused { servers, why }));
    }

    /// There is no session, and nobody waits any longer.
    pub(crate) fn given_up(self) {
        let hopeless = self.is_hopeless();
        let mut tried: Vec<_> = self
            .tried
            .into_iter()
            .map(|(endpoint, why)| (endpoint.to_string(), why))
            .collect();
        if tried.is_empty() {
            let all = self.servers.endpoints().iter();
            tried.extend(all.map(|each| (each.to_string(), "it was not asked".to_owned())));
        }
        let tried = Tried(tried);
        let error = if hopeless {
            ConnectError::Unreachable { tried }
        } else {
            ConnectError::Silent { tried }
        };
        let _ = self.tell.send(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Told = oneshot::Receiver<Result<SessionId, ConnectError>>;

    fn joining(list: &str) -> (Joining, Told) {
        let (tell, told) = oneshot::channel();
        let servers = Servers::parse(list).unwrap();
        (Joining::new(servers, Tick(0), tell), told)
    }

    fn refused() -> Result<CallAnswer, CallFailure> {
        Err(CallFailure::Failed("Connection refused".into()))
    }

    fn said(mut told: Told) -> String {
        let said = told.try_recv().unwrap().unwrap_err().to_string();
        assert_eq!(said.lines().count(), 1, "{said}");
        said
    }

    #[test]
    fn it_is_given_up_when_nobody_can_be_reached_and_all_are_named() {
        let (mut joining, told) = joining("a:1,b:2");
        let (a, b) = (Endpoint::lossy("a:1"), Endpoint::lossy("b:2"));
        joining.tried(&a, &refused());
        joining.tried(&a, &refused());
        assert!(!joining.is_hopeless());
        joining.tried(&b, &refused());
        assert!(joining.is_hopeless());
        joining.given_up();
        let said = said(told);
        let tried = "at a:1 (Connection refused), b:2 (Connection refused);";
        assert!(said.contains(tried), "{said}");
    }

    #[test]
    fn a_server_that_is_slow_or_has_no_leader_is_waited_for() {
        for answer in [Err(CallFailure::Late), Ok(CallAnswer::NotLeader(None))] {
            let (mut joining, told) = joining("a:1,b:2");
            let (a, b) = (Endpoint::lossy("a:1"), Endpoint::lossy("b:2"));
            joining.tried(&a, &answer);
            joining.tried(&b, &refused());
            joining.tried(&a, &refused());
            assert!(!joining.is_hopeless());
            joining.tried(&a, &answer);
            joining.given_up();
            let said = said(told);
            assert!(said.contains("within 10 s: a:1 (it "), "{said}");
        }
    }
}
