//! The connections: one to each server, made when it is first used, kept, and made again after it broke.

use std::collections::HashMap;

use dlm_core::cluster::Endpoint;
use tonic::transport::Channel;

use crate::endpoints;
use crate::error::ConnectError;
use crate::limits::CHANNELS_MAX;
use crate::tls::Tls;

/// All of a session's.
pub(crate) struct Channels {
    tls: Option<Tls>,
    kept: HashMap<Endpoint, Channel>,
}

impl Channels {
    pub(crate) fn new(tls: Option<Tls>) -> Self {
        Self {
            tls,
            kept: HashMap::new(),
        }
    }

    /// The one to that server. That nobody is there is found out when it is used.
    ///
    /// # Errors
    /// [`ConnectError::Endpoint`]: a server named what is no address.
    pub(crate) fn to(&mut self, endpoint: &Endpoint) -> Result<Channel, ConnectError> {
        if let Some(channel) = self.kept.get(endpoint) {
            return Ok(channel.clone());
        }
        let channel = endpoints::transport(endpoint, self.tls.as_ref())?.connect_lazy();
        if self.kept.len() >= CHANNELS_MAX {
            // Streams and calls under way have their own hold of theirs.
            self.kept.clear();
        }
        self.kept.insert(endpoint.clone(), channel.clone());
        Ok(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn they_are_kept_and_never_more_than_so_many() {
        let mut channels = Channels::new(None);
        for port in 1..=3 * CHANNELS_MAX {
            let endpoint = Endpoint::lossy(&format!("127.0.0.1:{port}"));
            assert!(channels.to(&endpoint).is_ok());
            assert!(channels.to(&endpoint).is_ok());
            assert!(channels.kept.len() <= CHANNELS_MAX);
        }
        let error = channels.to(&Endpoint::lossy("nowhere")).err().unwrap();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
