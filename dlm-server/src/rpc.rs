//! The gRPC services, each a thin layer between a stream and the loop.

mod cluster;
mod founding;
mod fault;
mod glocks;
mod inspect;
mod link;
mod lock;
mod peer;
mod reach;

pub(crate) use cluster::ClusterService;
pub(crate) use founding::FoundingService;
pub(crate) use fault::FaultService;
pub(crate) use inspect::InspectService;
pub(crate) use link::LinkService;
pub(crate) use lock::LockService;
pub(crate) use peer::PeerService;
pub(crate) use reach::{Reach, Running};
