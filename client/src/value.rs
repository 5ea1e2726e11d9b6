//! The value of a resource, as a lock's holder read it.

use dlm_core::{StatusFlags, ValueBlock};

/// What a resource's value block held when a lock read it.
///
/// The two cases are two variants because they must not be confused: a value that is not valid was, or may
/// have been, being written by somebody who was lost, and what it describes has to be looked at anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// As it was stored last.
    Valid(ValueBlock),
    /// Whoever could write it last was lost, or said that it is not valid any more
    /// ([`crate::RequestFlags::IVVALBLK`]); these are the bytes from before. The next value that is stored
    /// is valid again.
    NotValid(ValueBlock),
}

impl Value {
    /// What an answer says: the bytes and, among its flags, whether they are valid.
    pub(crate) fn new(block: ValueBlock, flags: StatusFlags) -> Self {
        if flags.contains(StatusFlags::VALNOTVALID) {
            Self::NotValid(block)
        } else {
            Self::Valid(block)
        }
    }

    /// The bytes, if they are valid: as many as the lockspace's value blocks have.
    #[must_use]
    pub fn valid(&self) -> Option<&[u8]> {
        match self {
            Self::Valid(block) => Some(block.as_bytes()),
            Self::NotValid(_) => None,
        }
    }

    /// Whether they are valid.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        matches!(self, Self::Valid(_))
    }

    /// The bytes, valid or not, for whoever can judge them.
    #[must_use]
    pub fn whatever_it_is(&self) -> &[u8] {
        match self {
            Self::Valid(block) | Self::NotValid(block) => block.as_bytes(),
        }
    }
}
