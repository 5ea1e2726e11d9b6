//! Which versions of the protocol this build speaks, and which one a session uses.

use std::fmt;

use crate::error::WireError;

/// The newest version of the protocol that this build speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// The oldest version of the protocol that this build still speaks.
pub const PROTOCOL_VERSION_MIN: u32 = 1;

/// The versions one side speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    /// The oldest.
    pub min: u32,
    /// The newest.
    pub max: u32,
}

impl VersionRange {
    /// What this build speaks.
    pub const OURS: Self = Self {
        min: PROTOCOL_VERSION_MIN,
        max: PROTOCOL_VERSION,
    };

    /// The newest version that both sides speak.
    ///
    /// # Errors
    /// [`WireError::Version`] where there is none.
    pub fn newest_common(self, theirs: Self) -> Result<u32, WireError> {
        let newest = self.max.min(theirs.max);
        if newest < self.min || newest < theirs.min {
            return Err(WireError::Version { ours: self, theirs });
        }
        Ok(newest)
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_both_speak_is_used() {
        let common = |a: (u32, u32), b: (u32, u32)| {
            let range = |(min, max)| VersionRange { min, max };
            range(a).newest_common(range(b)).ok()
        };
        assert_eq!(common((1, 3), (2, 5)), Some(3));
        assert_eq!(common((2, 5), (1, 3)), Some(3));
        assert_eq!(common((1, 9), (4, 5)), Some(5));
        assert_eq!(common((1, 2), (3, 4)), None);
        assert_eq!(common((3, 4), (1, 2)), None);
        assert_eq!(common((1, 4), (3, 2)), None, "a range without any version");
    }

    #[test]
    fn the_error_names_both_sides_in_one_line() {
        let theirs = VersionRange { min: 7, max: 9 };
        let text = VersionRange::OURS
            .newest_common(theirs)
            .unwrap_err()
            .to_string();
        assert!(text.contains("7 to 9") && !text.contains('\n'), "{text}");
    }
}
