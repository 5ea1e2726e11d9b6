//! How whoever looks at the server gets to its loop, to its streams and to the other servers.

use std::sync::Arc;

use dlm_core::cluster::Endpoint;
use dlm_core::{SessionId, Tick};
use glockwork_proto::holders::HoldersReport;
use glockwork_proto::glocks::{GlocksQuery, GlocksReport};
use tonic::codegen::http::Extensions;
use tonic::transport::Channel;

use super::reach::Reach;
use crate::access::{AccessError, Caller};
use crate::error::LookError;
use crate::inspect::Look;
use crate::node::{Input, Node, OrderId, Ordered};
use crate::runtime::Handle;

impl Reach {
    fn looking(&self) -> Result<Handle, LookError> {
        self.handle().map_err(|_| LookError::Starting)
    }
}

impl Look for Arc<Reach> {
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node, Tick) -> T + Send + 'static,
    ) -> Result<T, LookError> {
        Ok(self.looking()?.look(look).await?)
    }

    async fn order(
        &self,
        order: impl FnOnce(OrderId) -> Input + Send + 'static,
    ) -> Result<Ordered, LookError> {
        Ok(self.looking()?.order(Box::new(order)).await?)
    }

    async fn holders(&self, session: SessionId) -> Result<Option<HoldersReport>, LookError> {
        Ok(self.looking()?.holders(session).await?)
    }

    async fn glocks(
        &self,
        session: SessionId,
        query: GlocksQuery,
    ) -> Result<Option<GlocksReport>, LookError> {
        Ok(self.looking()?.glocks(session, query).await?)
    }

    fn caller(&self, extensions: &Extensions) -> Result<Caller, AccessError> {
        self.authorized(extensions)
    }

    fn channel(&self, endpoint: &Endpoint) -> Result<Channel, String> {
        let others = self.others.borrow();
        let found = others.iter().find(|(_, at)| at == endpoint);
        let (server, _) = found.ok_or_else(|| "the cluster has no such server".to_owned())?;
        self.channels.lazy(*server, endpoint)
    }
}
