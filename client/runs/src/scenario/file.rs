//! The file, as TOML says it, before anything in it has been looked at.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::mistakes::Mistakes;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    pub(super) workload: Workload,
    #[serde(default)]
    pub(super) expect: Expected,
    #[serde(default)]
    pub(super) at: Vec<Timed>,
}

type Text = Option<Spanned<String>>;
type Number = Option<Spanned<u64>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Workload {
    pub(super) policy: Text,
    pub(super) group: Text,
    pub(super) seconds: Number,
    pub(super) tasks: Number,
    pub(super) files: Number,
    pub(super) file_size: Text,
    pub(super) io: Text,
    pub(super) reads_percent: Number,
    pub(super) seed: Number,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expected {
    pub(super) verdict: Text,
    pub(super) stall: Text,
    pub(super) recovery: Text,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Timed {
    pub(super) time: Spanned<String>,
    #[serde(rename = "do")]
    pub(super) verb: Spanned<String>,
    pub(super) target: Spanned<String>,
    pub(super) one_way: Text,
    #[serde(rename = "for")]
    pub(super) lasts: Text,
    pub(super) delay: Text,
}

/// Reads it. What is no TOML, or has unknown keys, is among the mistakes.
pub(super) fn parse(mistakes: &mut Mistakes<'_>) -> Option<File> {
    match toml::from_str(mistakes.text) {
        Ok(file) => Some(file),
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            mistakes.add(&span, error.message().trim().to_owned());
            None
        }
    }
}

/// The same, to be written.
#[derive(Debug, Serialize)]
pub(super) struct Written<'s> {
    pub(super) workload: WrittenWorkload,
    pub(super) expect: WrittenExpected,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) at: Vec<WrittenTimed<'s>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct WrittenWorkload {
    pub(super) policy: Option<&'static str>,
    pub(super) group: Option<&'static str>,
    pub(super) seconds: Option<u64>,
    pub(super) tasks: Option<usize>,
    pub(super) files: Option<usize>,
    pub(super) file_size: Option<String>,
    pub(super) io: Option<String>,
    pub(super) reads_percent: Option<u8>,
    pub(super) seed: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct WrittenExpected {
    pub(super) verdict: &'static str,
    pub(super) stall: Option<String>,
    pub(super) recovery: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct WrittenTimed<'s> {
    pub(super) time: String,
    #[serde(rename = "do")]
    pub(super) verb: &'static str,
    pub(super) target: String,
    pub(super) one_way: Option<&'s str>,
    pub(super) delay: Option<String>,
}
