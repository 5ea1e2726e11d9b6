//! The file: one TOML table of settings, and the rules of access, which only it can hold.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::Key;
use super::key::{Kind, nearest};
use super::layer::{Given, Layer};
use super::mistake::{Mistake, Source};
use crate::access::{Pattern, Rule};

/// What the file says.
#[derive(Debug, Default)]
pub(crate) struct FileSays {
    pub(crate) layer: Layer,
    /// The rules of access, each with where it stands.
    pub(crate) rules: Vec<(Rule, Source)>,
    /// Who is a server.
    pub(crate) servers: Vec<Pattern>,
    /// Where that stands.
    pub(crate) servers_at: Option<Source>,
    pub(crate) mistakes: Vec<Mistake>,
}

/// The most bytes in the file. A rule takes a hundred.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the file has beside the settings.
const ACCESS: &str = "access";
const SERVERS: &str = "servers";
const RULE: [&str; 3] = ["name", "lockspaces", "admin"];

/// Reads the file. Whatever is wrong with it is among the mistakes, and the rest of it counts.
pub(crate) fn read(path: &Path) -> FileSays {
    let shown = path.display().to_string();
    let unread = |text: String| {
        let source = Source::File {
            path: shown.clone(),
            line: None,
        };
        FileSays {
            mistakes: vec![Mistake { source, text }],
            ..FileSays::default()
        }
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            return unread(format!("the file has more than {FILE_BYTES_MAX} bytes"));
        }
        Ok(_) | Err(_) => {}
    }
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&shown, &text),
        Err(error) => unread(format!(
            "cannot read the file: {error}; give another one with --config"
        )),
    }
}

pub(crate) fn parse(path: &str, text: &str) -> FileSays {
    let mut reader = Reader {
        path,
        text,
        says: FileSays::default(),
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().unwrap_or(0..0);
        reader.wrong(&at, format!("this is not TOML: {}", error.message()));
    }
    // After an error that nobody wrote, what follows is a guess.
    if errors.is_empty() {
        reader.table(table.get_ref());
    }
    reader.says
}

/// A value, and where it stands.
type At<'v, 't> = (&'v DeValue<'t>, Range<usize>);

struct Reader<'t> {
    path: &'t str,
    text: &'t str,
    says: FileSays,
}

impl Reader<'_> {
    fn source(&self, at: &Range<usize>) -> Source {
        let before = &self.text.as_bytes()[..at.start.min(self.text.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Source::File {
            path: self.path.into(),
            line: Some(line),
        }
    }

    fn wrong(&mut self, at: &Range<usize>, text: String) {
        let source = self.source(at);
        self.says.mistakes.push(Mistake { source, text });
    }

    fn table(&mut self, table: &DeTable<'_>) {
        for (name, value) in table {
            let at = name.span();
            let value: At<'_, '_> = (value.get_ref(), at.clone());
            let name: &str = name.get_ref();
            if let Some(key) = Key::ALL.into_iter().find(|key| key.name() == name) {
                self.setting(key, value);
            } else if name == ACCESS {
                self.rules(value);
            } else if name == SERVERS {
                if let Some(names) = self.texts(SERVERS, value) {
                    self.says.servers = names.iter().map(|one| Pattern::new(one)).collect();
                    self.says.servers_at = Some(self.source(&at));
                }
            } else {
                let known = Key::ALL.into_iter().map(Key::name);
                self.unknown("setting", name, &at, known.chain([ACCESS, SERVERS]));
            }
        }
    }

    fn unknown<'k>(
        &mut self,
        what: &str,
        name: &str,
        at: &Range<usize>,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let meant = nearest(name, known);
        let meant = meant.map_or_else(
            || "docs/operations.md lists all".into(),
            |meant| format!("perhaps `{meant}` is meant"),
        );
        self.wrong(at, format!("there is no {what} `{name}`; {meant}"));
    }

    fn setting(&mut self, key: Key, (value, at): At<'_, '_>) {
        let kind = key.kind();
        let values = match (kind, value) {
            (Kind::Text, DeValue::String(text)) => Some(vec![text.to_string()]),
            (Kind::Number, DeValue::Integer(number)) => Some(vec![number.to_string()]),
            (Kind::Switch, DeValue::Boolean(switch)) => Some(vec![switch.to_string()]),
            (Kind::List, DeValue::Array(_)) => self.texts(key.name(), (value, at.clone())),
            _ => {
                self.is_not(key.name(), kind, (value, at.clone()));
                None
            }
        };
        if let Some(values) = values {
            let source = self.source(&at);
            self.says.layer.insert(key, Given { values, source });
        }
    }

    fn is_not(&mut self, name: &str, kind: Kind, (value, at): At<'_, '_>) {
        let (is, kind) = (value.type_str(), kind.in_file());
        self.wrong(&at, format!("`{name}` is {kind}, and not of type {is}"));
    }

    fn texts(&mut self, name: &str, (value, at): At<'_, '_>) -> Option<Vec<String>> {
        let texts = value.as_array().and_then(|array| {
            let texts = array.iter().map(|one| one.get_ref().as_str());
            texts.map(|one| one.map(str::to_owned)).collect()
        });
        if texts.is_none() {
            self.is_not(name, Kind::List, (value, at));
        }
        texts
    }

    fn rules(&mut self, (value, at): At<'_, '_>) {
        let Some(array) = value.as_array() else {
            let text = "a rule of access is a table that begins with a line [[access]]";
            return self.wrong(&at, text.into());
        };
        for one in array.iter() {
            let at = one.span();
            match one.get_ref() {
                DeValue::Table(table) => self.rule(table, at),
                other => self.wrong(
                    &at,
                    format!(
                        "a rule of access is a table, and not of type {}",
                        other.type_str()
                    ),
                ),
            }
        }
    }

    fn rule(&mut self, table: &DeTable<'_>, rule_at: Range<usize>) {
        let mut rule = Rule {
            name: Pattern::new(""),
            lockspaces: Vec::new(),
            admin: false,
        };
        let mut named = false;
        for (name, value) in table {
            let at = name.span();
            let value = value.get_ref();
            match (name.get_ref().as_ref(), value) {
                ("name", DeValue::String(text)) => {
                    rule.name = Pattern::new(text);
                    named = true;
                }
                ("lockspaces", _) => {
                    let names = self.texts("lockspaces", (value, at));
                    let names = names.unwrap_or_default();
                    rule.lockspaces = names.iter().map(|one| Pattern::new(one)).collect();
                }
                ("admin", DeValue::Boolean(admin)) => rule.admin = *admin,
                ("name", _) => {
                    named = true;
                    self.is_not("name", Kind::Text, (value, at));
                }
                ("admin", _) => self.is_not("admin", Kind::Switch, (value, at)),
                (other, _) => self.unknown("part of a rule", other, &at, RULE),
            }
        }
        if !named {
            let text = "the rule has no `name`, that of a certificate; `name = \"*\"` is for all";
            self.wrong(&rule_at, text.into());
        }
        let source = self.source(&rule_at);
        self.says.rules.push((rule, source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let says = parse("a.toml", text);
        says.mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_come_with_their_lines() {
        let says = parse(
            "a.toml",
            "id = 3\n# a remark\nlisten = \"[::1]:7170\"\njoin = true\npeer = [\"1=a:1\",\n \"2=b:2\"]\n",
        );
        assert_eq!(says.mistakes, []);
        let layer = says.layer;
        assert_eq!(layer[&Key::Id].values, ["3"]);
        assert_eq!(layer[&Key::Join].values, ["true"]);
        assert_eq!(layer[&Key::Peer].values, ["1=a:1", "2=b:2"]);
        assert_eq!(layer[&Key::Listen].source.to_string(), "a.toml:3");
        assert_eq!(layer[&Key::Peer].source.to_string(), "a.toml:5");
    }

    #[test]
    fn rules_of_access() {
        let says = parse(
            "a.toml",
            "servers = [\"dlm*\"]\n\n[[access]]\nname = \"node*\"\nlockspaces = [\"vol1\"]\n\
             [[access]]\nname = \"operator\"\nadmin = true\n",
        );
        assert_eq!(says.mistakes, []);
        assert_eq!(says.servers, [Pattern::new("dlm*")]);
        let (first, at) = &says.rules[0];
        assert_eq!(first.lockspaces, [Pattern::new("vol1")]);
        assert!(!first.admin && says.rules[1].0.admin);
        assert_eq!(at.to_string(), "a.toml:3");
    }

    #[test]
    fn all_mistakes_are_found_at_once() {
        let found = mistakes(
            "id = \"3\"\nlistn = \"x\"\njoin = 1\npeer = \"1=a:1\"\n[[access]]\nnam = \"x\"\nadmin = 0\n",
        );
        let expected = [
            "a.toml:1: `id` is a number",
            "a.toml:2: there is no setting `listn`; perhaps `listen` is meant",
            "a.toml:3: `join` is true or false",
            "a.toml:4: `peer` is a list",
            "a.toml:5: the rule has no `name`",
            "a.toml:6: there is no part of a rule `nam`; perhaps `name` is meant",
            "a.toml:7: `admin` is true or false",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for text in expected {
            assert!(
                found.iter().any(|one| one.starts_with(text)),
                "{text}: {found:#?}"
            );
        }
    }

    #[test]
    fn what_is_not_toml_is_one_line() {
        for text in ["id = \n", "id = 1\nid = 2\n", "[access\n", "\u{0}", "= 3"] {
            let found = mistakes(text);
            assert!(!found.is_empty(), "{text:?}");
            for one in &found {
                assert!(one.starts_with("a.toml:") && !one.contains('\n'), "{one}");
            }
        }
    }

    #[test]
    fn a_file_that_is_not_there() {
        let says = read(Path::new("no/such/file.toml"));
        let text = says.mistakes[0].to_string();
        assert!(text.starts_with("no/such/file.toml: cannot read"), "{text}");
    }
}
