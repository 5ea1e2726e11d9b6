//! The language of the recordings: one operation a line.
//!
//! ```text
//! lock CLIENT TAG RESOURCE MODE [FLAG…] [lvb=TEXT] [namelen=N] [modeval=N]
//! conv CLIENT TAG MODE [FLAG…] [lvb=TEXT] [modeval=N]
//! unlock CLIENT TAG [FLAG…] [lvb=TEXT]
//! cancel CLIENT TAG
//! close CLIENT
//! wait MS
//! rawlkid CLIENT TAG NUMBER
//! nobast
//! ```
//!
//! A flag is the name of one of fs/dlm's, or `0x…` for bits, or `noast` for a null completion address.

use std::fmt;

use dlm_core::{Mode, RequestFlags};

/// What a request, conversion or unlock carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Flags, by name or as bits.
    pub flags: RequestFlags,
    /// The text in the caller's buffer.
    pub value: String,
    /// Whether the completion address is null.
    pub no_completion: bool,
    /// The length given for the name, where it is not the name's.
    pub name_length: Option<usize>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Asks for a new lock.
    Lock {
        /// Who.
        client: u64,
        /// The client's name for the lock.
        tag: String,
        /// The resource's name, before its length is changed.
        resource: String,
        /// The mode; `None` where its number is no mode's.
        mode: Option<Mode>,
        /// The rest.
        options: Options,
    },
    /// Asks for another mode.
    Convert {
        /// Who.
        client: u64,
        /// Which lock.
        tag: String,
        /// The mode; `None` where its number is no mode's.
        mode: Option<Mode>,
        /// The rest.
        options: Options,
    },
    /// Gives a lock up, or with `CANCEL` what it waits for.
    Unlock {
        /// Who.
        client: u64,
        /// Which lock.
        tag: String,
        /// The rest.
        options: Options,
    },
    /// The client goes away.
    Close {
        /// Who.
        client: u64,
    },
    /// Time passes.
    Wait {
        /// How much, in milliseconds.
        ms: u64,
    },
    /// The tag means this lock id from now on.
    RawLockId {
        /// The tag.
        tag: String,
        /// The id.
        number: u64,
    },
    /// The next lock asks for no blocking callbacks.
    NoBlockingCallbacks,
}

/// A line that is not of the language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(String);

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseError {}

impl Operation {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, ParseError> {
        let mut words = Words(line.split_whitespace(), line);
        let operation = match words.next("an operation")? {
            "lock" => {
                let (client, tag) = (words.number("a client")?, words.text("a tag")?);
                let resource = words.text("a resource")?;
                let named = words.mode()?;
                let (mode, options) = words.options(named)?;
                Self::Lock {
                    client,
                    tag,
                    resource,
                    mode,
                    options,
                }
            }
            "conv" => {
                let (client, tag) = (words.number("a client")?, words.text("a tag")?);
                let named = words.mode()?;
                let (mode, options) = words.options(named)?;
                Self::Convert {
                    client,
                    tag,
                    mode,
                    options,
                }
            }
            name @ ("unlock" | "cancel") => {
                let (client, tag) = (words.number("a client")?, words.text("a tag")?);
                let (_, mut options) = words.options(Mode::Nl)?;
                if name == "cancel" {
                    options.flags |= RequestFlags::CANCEL;
                }
                Self::Unlock {
                    client,
                    tag,
                    options,
                }
            }
            "close" => Self::Close {
                client: words.number("a client")?,
            },
            "wait" => Self::Wait {
                ms: words.number("milliseconds")?,
            },
            "rawlkid" => {
                words.number("a client")?;
                Self::RawLockId {
                    tag: words.text("a tag")?,
                    number: words.number("a lock id")?,
                }
            }
            "nobast" => Self::NoBlockingCallbacks,
            other => return Err(words.error(&format!("{other:?} is no operation"))),
        };
        match words.0.next() {
            None => Ok(operation),
            Some(word) => Err(words.error(&format!("{word:?} is too much"))),
        }
    }
}

/// The words of a line that are still to be read, and the line.
struct Words<'a>(std::str::SplitWhitespace<'a>, &'a str);

impl<'a> Words<'a> {
    fn error(&self, what: &str) -> ParseError {
        ParseError(format!("{what}, in {:?}", self.1))
    }

    fn next(&mut self, what: &str) -> Result<&'a str, ParseError> {
        let word = self.0.next();
        word.ok_or_else(|| self.error(&format!("{what} is missing")))
    }

    fn text(&mut self, what: &str) -> Result<String, ParseError> {
        self.next(what).map(str::to_owned)
    }

    fn number(&mut self, what: &str) -> Result<u64, ParseError> {
        let word = self.next(what)?;
        number(word).ok_or_else(|| self.error(&format!("{word:?} is not {what}")))
    }

    fn mode(&mut self) -> Result<Mode, ParseError> {
        let word = self.next("a mode")?;
        let mode = Mode::ALL.into_iter().find(|mode| mode.name() == word);
        mode.ok_or_else(|| self.error(&format!("{word:?} is no mode")))
    }

    /// All words that are left, and the mode that they leave of `mode`.
    fn options(&mut self, mode: Mode) -> Result<(Option<Mode>, Options), ParseError> {
        let (mut mode, mut options) = (Some(mode), Options::default());
        while let Some(word) = self.0.next() {
            let bad = || self.error(&format!("{word:?} is no flag"));
            if word == "noast" {
                options.no_completion = true;
            } else if word.starts_with("0x") {
                let bits = number(word).and_then(|bits| u32::try_from(bits).ok());
                options.flags |= RequestFlags::from_bits_retain(bits.ok_or_else(bad)?);
            } else if let Some((key, value)) = word.split_once('=') {
                let parsed = number(value).ok_or_else(bad);
                match key {
                    "lvb" => value.clone_into(&mut options.value),
                    // The device has a byte for each of these.
                    "namelen" => {
                        let length = u8::try_from(parsed?).map_err(|_| bad())?;
                        options.name_length = Some(length.into());
                    }
                    "modeval" => {
                        let number = u8::try_from(parsed?).map_err(|_| bad())?;
                        mode = Mode::from_number(number);
                    }
                    _ => return Err(bad()),
                }
            } else {
                options.flags |= RequestFlags::from_name(word).ok_or_else(bad)?;
            }
        }
        Ok((mode, options))
    }
}

fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_it_says() {
        let line = "lock 3 t1 R EX VALBLK 0x80000 lvb=v0 namelen=9 modeval=2";
        let Ok(Operation::Lock {
            client: 3,
            mode: Some(Mode::Cw),
            options,
            ..
        }) = Operation::parse(line)
        else {
            panic!("{:?}", Operation::parse(line));
        };
        assert_eq!(options.flags.bits(), 0x8_0008);
        assert_eq!(
            (options.value.as_str(), options.name_length),
            ("v0", Some(9))
        );
    }

    #[test]
    fn what_is_not_of_the_language_is_named() {
        for (line, word) in [
            ("", "missing"),
            ("lokc 1 a R EX", "lokc"),
            ("lock x a R EX", "\"x\""),
            ("lock 1 a R XX", "XX"),
            ("conv 1 a PR NOQUEU", "NOQUEU"),
            ("close 1 2", "\"2\""),
            ("conv 1 a PR modeval=256", "modeval=256"),
            ("lock 1 a R PR namelen=256", "namelen=256"),
            ("lock 1 a R PR 0x100000000", "0x100000000"),
            ("unlock 1 a lvb", "\"lvb\""),
            ("wait -1", "\"-1\""),
            ("rawlkid 1 a b", "\"b\""),
        ] {
            let error = Operation::parse(line).expect_err(line).to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
