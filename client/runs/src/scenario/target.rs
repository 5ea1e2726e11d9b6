//! To whom something is done.

use std::fmt;
use std::str::FromStr;

use glockwork_proto::Name;

use crate::limits::SERVER_NUMBER_MAX;

/// To whom something is done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// A node, by its name.
    Node(String),
    /// A server, by its number.
    Server(u64),
    /// The server that leads when it is done.
    Leader,
    /// One of the servers that do not.
    Follower,
    /// All nodes.
    Nodes,
    /// All servers.
    Servers,
    /// All of both.
    Everything,
}

const SERVER: &str = "server";

impl Target {
    /// Those that stand for somebody else.
    const WORDS: [(&'static str, Self); 5] = [
        ("leader", Self::Leader),
        ("a-follower", Self::Follower),
        ("nodes", Self::Nodes),
        ("servers", Self::Servers),
        ("everything", Self::Everything),
    ];

    /// Whether all of them are nodes.
    #[must_use]
    pub const fn is_of_nodes(&self) -> bool {
        matches!(self, Self::Node(_) | Self::Nodes)
    }

    /// Whether it is several.
    #[must_use]
    pub const fn is_several(&self) -> bool {
        matches!(self, Self::Nodes | Self::Servers | Self::Everything)
    }

    /// Whether whoever undoes something for these undoes it for `other`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match self {
            Self::Everything => true,
            Self::Nodes => other.is_of_nodes(),
            Self::Servers => !other.is_of_nodes() && *other != Self::Everything,
            _ => self == other,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => f.pad(name),
            Self::Server(number) => f.pad(&format!("{SERVER}{number}")),
            word => {
                let found = Self::WORDS.iter().find(|(_, target)| target == word);
                f.pad(found.map_or("", |(text, _)| text))
            }
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((_, target)) = Self::WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(target.clone());
        }
        let number = text.strip_prefix(SERVER).and_then(|rest| rest.parse().ok());
        match number {
            Some(number) if (1..=SERVER_NUMBER_MAX).contains(&number) => Ok(Self::Server(number)),
            Some(number) => Err(format!(
                "there is no server {number}: a server's number is in 1..={SERVER_NUMBER_MAX}"
            )),
            None => match Name::new(text) {
                Ok(name) => Ok(Self::Node(name.into())),
                Err(error) => Err(format!(
                    "{error}; give a node's name, server1, leader, a-follower, nodes, servers or everything"
                )),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_they_are_written() {
        let named = [Target::Node("node2".into()), Target::Server(3)];
        let words = Target::WORDS.map(|(_, target)| target);
        for target in named.into_iter().chain(words) {
            assert_eq!(target.to_string().parse(), Ok(target));
        }
        assert_eq!("serverless".parse(), Ok(Target::Node("serverless".into())));
        for wrong in ["", "server0", "server1001", "a\nb"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn several_cover_each_of_them() {
        let node = Target::Node("a".into());
        assert!(Target::Everything.covers(&Target::Servers));
        assert!(Target::Nodes.covers(&node) && !Target::Nodes.covers(&Target::Leader));
        assert!(Target::Servers.covers(&Target::Leader) && !Target::Servers.covers(&node));
        assert!(!Target::Servers.covers(&Target::Everything));
        assert!(!Target::Leader.covers(&Target::Server(1)));
    }
}
