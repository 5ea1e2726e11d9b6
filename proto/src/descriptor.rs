//! The descriptions of services that server reflection gives out: the compiled `.proto` files, each set as an encoded
//! `google.protobuf.FileDescriptorSet`.

/// What a lock server serves.
pub const SERVER_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/server.bin"));

/// What a fence agent serves.
pub const FENCE_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fence.bin"));

/// What a filesystem node serves.
pub const NODE_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/node.bin"));
