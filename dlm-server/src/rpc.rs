//! The gRPC services, each a thin layer between a stream and the shard.

mod fault;
mod glocks;
mod inspect;
mod lock;

pub(crate) use fault::FaultService;
pub(crate) use inspect::InspectService;
pub(crate) use lock::LockService;
