//! gRPC over gates.
