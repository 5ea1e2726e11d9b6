//! Values as they were given in one place, before anybody looked at what they say.

use std::collections::BTreeMap;

use super::Key;
use super::key::{ENVIRONMENT_PREFIX, Kind, nearest};
use super::mistake::Source;

/// A value, or a list's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) values: Vec<String>,
    pub(crate) source: Source,
}

impl Given {
    pub(crate) fn one(value: String, source: Source) -> Self {
        let values = vec![value];
        Self { values, source }
    }
}

/// What one place says.
pub(crate) type Layer = BTreeMap<Key, Given>;

/// The environment, as the program got it.
pub type Environment = BTreeMap<String, String>;

/// What the environment says. A variable that is empty says nothing: files of variables have such.
pub(crate) fn from_environment(environment: &Environment) -> Layer {
    let mut layer = Layer::new();
    for key in Key::ALL {
        let names = [
            key.older_variable().map(str::to_owned),
            Some(key.variable()),
        ];
        for name in names.into_iter().flatten() {
            let Some(value) = environment.get(&name).filter(|value| !value.is_empty()) else {
                continue;
            };
            let values = match key.kind() {
                Kind::List => value.split(',').map(|one| one.trim().to_owned()).collect(),
                Kind::Text | Kind::Number | Kind::Switch => vec![value.clone()],
            };
            let source = Source::Environment(name);
            layer.insert(key, Given { values, source });
        }
    }
    layer
}

/// Variables that nobody reads and that look as if somebody should. They cannot be mistakes: whoever runs
/// programs for others sets variables of that prefix for ends of its own (`DLM_SERVER_SERVICE_HOST`).
pub(crate) fn misspelt(environment: &Environment) -> Vec<String> {
    let mut known: Vec<String> = Key::ALL.map(Key::variable).to_vec();
    known.push(CONFIG_VARIABLE.into());
    let mut notes = Vec::new();
    for name in environment.keys() {
        let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else {
            continue;
        };
        if known.contains(name) {
            continue;
        }
        let rests = known.iter().map(|one| &one[ENVIRONMENT_PREFIX.len()..]);
        if let Some(meant) = nearest(rest, rests) {
            notes.push(format!(
                "nothing reads {name}; perhaps {ENVIRONMENT_PREFIX}{meant} is meant"
            ));
        }
    }
    notes
}

/// Names the file in the environment.
pub(crate) const CONFIG_VARIABLE: &str = "DLM_SERVER_CONFIG";

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn lists_are_taken_apart_and_nothing_is_nothing() {
        let layer = from_environment(&environment(&[
            ("DLM_SERVER_PEER", "1=a:1, 2=b:2"),
            ("DLM_SERVER_DATA", ""),
        ]));
        assert_eq!(layer[&Key::Peer].values, ["1=a:1", "2=b:2"]);
        assert!(!layer.contains_key(&Key::Data));
    }

    #[test]
    fn an_older_name_counts_less() {
        let both = [("GLOCKWORK_LISTEN", "old"), ("DLM_SERVER_LISTEN", "new")];
        let layer = from_environment(&environment(&both));
        assert_eq!(layer[&Key::Listen].values, ["new"]);
        let layer = from_environment(&environment(&both[..1]));
        assert_eq!(layer[&Key::Listen].values, ["old"]);
    }

    #[test]
    fn what_looks_misspelt_is_noted_and_the_rest_is_not() {
        let notes = misspelt(&environment(&[
            ("DLM_SERVER_LISTN", "x"),
            ("DLM_SERVER_SERVICE_HOST", "10.0.0.1"),
            ("DLM_SERVER_PORT", "tcp://10.0.0.1:7170"),
            ("DLM_SERVER_CONFIG", "x"),
        ]));
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains("DLM_SERVER_LISTEN"), "{notes:?}");
    }
}
