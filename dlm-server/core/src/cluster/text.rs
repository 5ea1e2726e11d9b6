//! Text that people and programs give, bounded and printable: names, addresses, reasons.

use alloc::string::String;
use core::fmt;

/// 1 to `BYTES_MAX` bytes of UTF-8 without control characters: it is printed as it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const BYTES_MAX: usize>(String);

/// The most bytes in the name of a session or a lockspace (fs/dlm's `DLM_LOCKSPACE_LEN`).
pub const NAME_BYTES_MAX: usize = 64;

/// The most bytes in an address: a domain name has up to 253, and a port comes after it.
pub const ENDPOINT_BYTES_MAX: usize = 260;

/// The most bytes of a reason that is kept for people to read: a line or two of a command's output.
pub const REASON_BYTES_MAX: usize = 200;

/// What people call a session or a lockspace.
pub type Name = Text<NAME_BYTES_MAX>;

/// Where a server is found.
pub type Endpoint = Text<ENDPOINT_BYTES_MAX>;

/// Why something failed, for people.
pub type Reason = Text<REASON_BYTES_MAX>;

/// Why a text is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRefusal {
    /// It is empty or too long.
    Length {
        /// How many bytes it has.
        bytes: usize,
        /// How many it may have.
        bytes_max: usize,
    },
    /// It has a control character in it.
    Character,
}

impl fmt::Display for TextRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { bytes, bytes_max } => {
                write!(f, "a text of {bytes} bytes; give one of 1 to {bytes_max}")
            }
            Self::Character => f.write_str("a text with a control character; leave it out"),
        }
    }
}

impl core::error::Error for TextRefusal {}

impl<const BYTES_MAX: usize> Text<BYTES_MAX> {
    /// Takes `text` as it is.
    ///
    /// # Errors
    /// [`TextRefusal`].
    pub fn new(text: impl Into<String>) -> Result<Self, TextRefusal> {
        let text = text.into();
        let bytes = text.len();
        if bytes == 0 || bytes > BYTES_MAX {
            return Err(TextRefusal::Length {
                bytes,
                bytes_max: BYTES_MAX,
            });
        }
        if text.chars().any(char::is_control) {
            return Err(TextRefusal::Character);
        }
        Ok(Self(text))
    }

    /// Makes one of any text: control characters become `?`, what is too long is cut, nothing becomes
    /// `?`. For what a program made up, where a refusal would help nobody.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut taken = String::new();
        for each in text.chars() {
            let each = if each.is_control() { '?' } else { each };
            if taken.len() + each.len_utf8() > BYTES_MAX {
                break;
            }
            taken.push(each);
        }
        if taken.is_empty() {
            taken.push('?');
        }
        Self(taken)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const BYTES_MAX: usize> From<Text<BYTES_MAX>> for String {
    fn from(text: Text<BYTES_MAX>) -> Self {
        text.0
    }
}

impl<const BYTES_MAX: usize> fmt::Display for Text<BYTES_MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<const BYTES_MAX: usize> fmt::Debug for Text<BYTES_MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bounded_and_printable() {
        assert_eq!(Name::new("nœud 1").unwrap().as_str(), "nœud 1");
        assert!(Name::new("x".repeat(64)).is_ok());
        assert_eq!(
            Name::new("x".repeat(65)),
            Err(TextRefusal::Length {
                bytes: 65,
                bytes_max: 64
            })
        );
        assert!(Name::new("").is_err());
        assert_eq!(Name::new("a\n"), Err(TextRefusal::Character));
    }

    #[test]
    fn any_text_can_be_made_one() {
        for text in ["", "node 1", "a\nb", &"é".repeat(40), &"x".repeat(300)] {
            let taken = Name::lossy(text);
            assert_eq!(Name::new(taken.as_str()), Ok(taken));
        }
        assert_eq!(Name::lossy("a\nb").as_str(), "a?b");
        assert_eq!(Name::lossy(&"é".repeat(40)).as_str(), "é".repeat(32));
    }
}
