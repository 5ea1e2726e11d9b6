//! The gRPC services, each a thin layer between a stream and the shard.

mod inspect;
mod lock;

pub(crate) use inspect::InspectService;
pub(crate) use lock::LockService;
