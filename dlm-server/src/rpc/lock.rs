//! What tasks that ended left behind is taken away.

use std::sync::Arc;

use glockwork_proto::wire;
use tonic::{Request, Response, Status};

use super::reach::Reach;
use crate::inspect::purge;

/// `glockwork.v1.Lock`.
#[derive(Debug)]
pub(crate) struct LockService {
    reach: Arc<Reach>,
}

impl LockService {
    pub(crate) const fn new(reach: Arc<Reach>) -> Self {
        Self { reach }
    }
}

#[tonic::async_trait]
impl wire::lock_server::Lock for LockService {
    async fn purge(
        &self,
        request: Request<wire::PurgeRequest>,
    ) -> Result<Response<wire::PurgeReply>, Status> {
        let caller = self.reach.caller(&request)?;
        // Another server has looked who asked.
        match request.get_ref().local {
            true => caller.server()?,
            false => caller.lockspace(&request.get_ref().lockspace)?,
        }
        Ok(Response::new(purge(&self.reach, request.into_inner()).await?))
    }
}
