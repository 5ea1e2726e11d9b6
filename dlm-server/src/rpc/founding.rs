//! Introductions: servers that look for their cluster ask each other who they are.

use std::sync::Arc;

use glockwork_proto::{convert, render, wire};
use tonic::{Request, Response, Status};

use super::reach::{Greeting, Reach};
use crate::founding::Introduction;

/// `glockwork.v1.Founding`.
#[derive(Debug)]
pub(crate) struct FoundingService {
    reach: Arc<Reach>,
}

impl FoundingService {
    pub(crate) const fn new(reach: Arc<Reach>) -> Self {
        Self { reach }
    }
}

#[tonic::async_trait]
impl wire::founding_server::Founding for FoundingService {
    async fn introduce(
        &self,
        request: Request<wire::Introduction>,
    ) -> Result<Response<wire::Introduction>, Status> {
        self.reach.caller(&request)?.server()?;
        let theirs = convert::introduction(request.into_inner())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let theirs = Introduction::from(theirs);
        let ours = match self.reach.greet(&theirs)? {
            Greeting::Said(ours) => ours,
            Greeting::By(running) => {
                let members = |node: &crate::node::Node, _| node.replica().members().clone();
                let members = running.handle.look(members).await?;
                let to = (theirs.server, theirs.identity);
                Introduction::of_member(running.identity, &members, to)
            }
        };
        Ok(Response::new(render::introduction(&ours.into())))
    }
}
