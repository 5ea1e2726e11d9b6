//! The gRPC services, each a thin layer between a stream and the loop.

mod cluster;
mod founding;
mod fault;
mod link;
mod lock;
mod looking;
mod peer;
mod reach;

pub(crate) use cluster::ClusterService;
pub(crate) use founding::FoundingService;
pub(crate) use fault::FaultService;
pub(crate) use link::LinkService;
pub(crate) use lock::LockService;
pub(crate) use peer::PeerService;
pub(crate) use reach::{Others, Reach, Running};
