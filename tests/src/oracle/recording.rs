//! A recording: a list of steps, one JSON object a line, grouped in scenarios.
//!
//! | key | meaning |
//! |---|---|
//! | `s` | the scenario |
//! | `i` | the step's number in it |
//! | `op` | the operation |
//! | `ret` | what the call returned |
//! | `ev` | what arrived because of it |
//!
//! That a lock asked for no blocking callbacks (`nobast`) is not in there; it is in the list of scenarios
//! that the recording was made from, `NAME.scenarios.txt` beside `NAME.jsonl`, where there is one. A
//! recording may also say it itself, by a step `nobast` or by `"nobast":true` in the lock's own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use dlm_core::StatusFlags;
use serde_json::Value;
use thiserror::Error;

use super::language::{Operation, ParseError};
use super::{Event, What};

/// Why a recording cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file has no steps.
    #[error("{}: there is no step in it; a recording has one a line, as JSON", .0.display())]
    Empty(PathBuf),
    /// A line is not a step.
    #[error("{}:{line}: {what}", path.display())]
    Line {
        /// In which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
}

/// A scenario: it begins with every client closed, and on resources of its own.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// What was done.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its number.
    pub number: u64,
    /// The operation as it stands in the recording.
    pub text: String,
    /// The operation.
    pub operation: Operation,
    /// Whether it asks for no blocking callbacks.
    pub no_blocking_callbacks: bool,
    /// What the call returned.
    pub ret: String,
    /// What arrived.
    pub events: Vec<Event>,
}

/// Reads a recording.
///
/// # Errors
/// Where a file or a line cannot be read.
pub fn read(path: &Path) -> Result<Vec<Scenario>, ReadError> {
    let text = text_of(path)?;
    let silent = silent_steps(path)?;
    let mut scenarios: Vec<Scenario> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let (name, mut step) = step(line).map_err(|what| ReadError::Line {
            path: path.to_owned(),
            line: index + 1,
            what,
        })?;
        if scenarios.last().is_none_or(|last| last.name != name) {
            scenarios.push(Scenario {
                name,
                steps: Vec::new(),
            });
        }
        if let Some(scenario) = scenarios.last_mut() {
            let place = (scenario.name.clone(), scenario.steps.len());
            step.no_blocking_callbacks |= silent.contains(&place);
            scenario.steps.push(step);
        }
    }
    if scenarios.is_empty() {
        return Err(ReadError::Empty(path.to_owned()));
    }
    Ok(scenarios)
}

fn text_of(path: &Path) -> Result<String, ReadError> {
    fs::read_to_string(path).map_err(|source| ReadError::File {
        path: path.to_owned(),
        source,
    })
}

/// Scenario and index of the steps that come behind a `nobast`.
fn silent_steps(recording: &Path) -> Result<BTreeSet<(String, usize)>, ReadError> {
    let path = recording.with_extension("scenarios.txt");
    let mut found = BTreeSet::new();
    if !path.exists() {
        return Ok(found);
    }
    let text = text_of(&path)?;
    let (mut name, mut index) = ("", 0);
    for line in text.lines().map(str::trim) {
        if let Some(scenario) = line.strip_prefix("scenario ") {
            (name, index) = (scenario, 0);
        } else if line == "nobast" {
            found.insert((name.to_owned(), index));
        } else if !line.is_empty() && !line.starts_with('#') {
            index += 1;
        }
    }
    Ok(found)
}

fn step(line: &str) -> Result<(String, Step), String> {
    let json: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    if !json.is_object() {
        return Err("it is no object".to_owned());
    }
    let no_blocking_callbacks = match &json["nobast"] {
        Value::Null => false,
        marker => marker.as_bool().ok_or("nobast is not true or false")?,
    };
    let text = text(&json, "op")?;
    let operation = Operation::parse(&text).map_err(|error: ParseError| error.to_string())?;
    let events = json["ev"].as_array().ok_or("ev is not a list")?;
    let step = Step {
        number: json["i"].as_u64().ok_or("i is not a number")?,
        operation,
        text,
        no_blocking_callbacks,
        ret: self::text(&json, "ret")?,
        events: events.iter().map(event).collect::<Result<_, _>>()?,
    };
    Ok((self::text(&json, "s")?, step))
}

fn event(json: &Value) -> Result<Event, String> {
    let what = match text(json, "ev")?.as_str() {
        "ast" => What::Completion {
            status: text(json, "st")?,
            flags: flags(&json["sbf"])?,
            value: match &json["lvb"] {
                Value::Null => None,
                _ => Some(text(json, "lvb")?),
            },
        },
        "bast" => What::Blocking {
            mode: text(json, "mode")?,
        },
        other => return Err(format!("{other:?} is no event")),
    };
    Ok(Event {
        client: json["c"].as_u64().ok_or("c is not a number")?,
        tag: text(json, "t")?,
        what,
    })
}

/// Names of status flags, in one string or in a list, in the order of their bits.
fn flags(json: &Value) -> Result<Vec<String>, String> {
    let bad = || format!("sbf {json} is no list of DEMOTED, VALNOTVALID and ALTMODE");
    let words: Vec<&str> = match json {
        Value::Null => Vec::new(),
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(list) => {
            let words = list.iter().map(|word| word.as_str().ok_or_else(bad));
            words.collect::<Result<_, _>>()?
        }
        _ => return Err(bad()),
    };
    let flags = words.into_iter().map(StatusFlags::from_name);
    let flags: Option<StatusFlags> = flags.collect();
    let named = flags.ok_or_else(bad)?;
    Ok(named
        .iter_names()
        .map(|(name, _)| name.to_owned())
        .collect())
}

fn text(json: &Value, key: &str) -> Result<String, String> {
    let text = json[key].as_str().map(str::to_owned);
    text.ok_or_else(|| format!("{key} is not a string"))
}
