//! From the wire to the domain: parse, so that nothing behind it has to validate.
//!
//! Two kinds of mistakes are told apart. A message that means nothing is a [`WireError`], and the
//! stream it came on ends. An operation that is well formed but asks for what nobody may have, such
//! as an empty resource name, comes out as a [`RefusedOperation`](crate::frame::RefusedOperation):
//! its sender learns it under the operation's number and the stream goes on.

mod client_frame;
mod server_frame;
mod words;

pub use client_frame::{ParsedClientFrame, client_frame, hello};
pub use server_frame::{server_frame, welcome};
pub use words::{mode, mode_or_none, queue, reason, role, status};

use dlm_core::ResourceName;

use crate::error::WireError;

/// A resource's name.
///
/// # Errors
/// [`WireError::ResourceNameLength`].
pub fn resource_name(bytes: &[u8]) -> Result<ResourceName, WireError> {
    ResourceName::new(bytes).map_err(|_| WireError::ResourceNameLength { bytes: bytes.len() })
}
