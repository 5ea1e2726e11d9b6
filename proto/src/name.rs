//! Names that people give: of a client, a task, a lockspace.

use std::fmt;

use crate::error::WireError;
use crate::limits::NAME_BYTES_MAX;

/// 1 to [`NAME_BYTES_MAX`] bytes of UTF-8 without control characters: it is printed as it is on
/// terminals, in logs and in pictures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Takes `text` as a name.
    ///
    /// # Errors
    /// [`WireError::NameLength`] or [`WireError::NameCharacter`].
    pub fn new(text: impl Into<String>) -> Result<Self, WireError> {
        let text = text.into();
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(WireError::NameLength { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(WireError::NameCharacter {
                name: text.escape_default().to_string(),
            });
        }
        Ok(Self(text))
    }

    /// Makes a name of any text: control characters become `?`, what is too long is cut, nothing
    /// becomes `?`. For names that a program makes up, where a refusal would help nobody.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut name = String::new();
        for each in text.chars() {
            let each = if each.is_control() { '?' } else { each };
            if name.len() + each.len_utf8() > NAME_BYTES_MAX {
                break;
            }
            name.push(each);
        }
        if name.is_empty() {
            name.push('?');
        }
        Self(name)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_1_to_64_bytes_and_nothing_that_moves_a_cursor() {
        assert_eq!(Name::new("nœud 1").unwrap().as_str(), "nœud 1");
        assert!(Name::new("x".repeat(64)).is_ok());
        assert_eq!(Name::new(""), Err(WireError::NameLength { bytes: 0 }));
        assert_eq!(
            Name::new("x".repeat(65)),
            Err(WireError::NameLength { bytes: 65 })
        );
        let error = Name::new("a\u{1b}[2J").unwrap_err().to_string();
        assert!(!error.contains('\u{1b}'), "{error:?}");
    }

    #[test]
    fn any_text_can_be_made_a_name() {
        for text in ["", "node 1", "a\nb", &"é".repeat(40), &"x".repeat(200)] {
            let name = Name::lossy(text);
            assert_eq!(Name::new(name.as_str()).as_ref(), Ok(&name));
        }
        assert_eq!(Name::lossy("node 1").as_str(), "node 1");
        assert_eq!(Name::lossy("a\nb").as_str(), "a?b");
        assert_eq!(Name::lossy(&"é".repeat(40)).as_str(), "é".repeat(32));
    }
}
