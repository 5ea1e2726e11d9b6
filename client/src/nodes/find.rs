//! Which nodes there are: each holds a lock by whose name it is found.

use std::collections::BTreeMap;

use dlm_core::deadlock::Queue;
use glockwork_proto::node::{NODE_AT, nodes_lockspace};
use serde::Serialize;

use crate::endpoints::Servers;
use crate::inspect::{InspectError, locks};

/// A node that lives, as far as the cluster knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundNode {
    /// What the cluster calls it.
    pub name: String,
    /// Where it takes orders, `HOST:PORT`.
    pub address: String,
    /// Its session.
    pub session: u64,
}

/// The nodes that have the volume of `lockspace` mounted, in the order of their names, numbers in them by their value.
///
/// # Errors
/// [`InspectError`].
pub async fn find(servers: &Servers, lockspace: &str) -> Result<Vec<FoundNode>, InspectError> {
    let mut listed = match locks(servers, Some(&nodes_lockspace(lockspace))).await {
        // The first node opens it.
        Err(InspectError::NotFound { .. }) => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut found = BTreeMap::new();
    while let Some(resource) = listed.next_whole().await? {
        let Ok(name) = std::str::from_utf8(resource.object.name.as_bytes()) else {
            continue;
        };
        let Some(address) = name.strip_prefix(NODE_AT) else {
            continue;
        };
        for lock in &resource.locks {
            if lock.queue == Queue::Granted {
                let node = FoundNode {
                    name: lock.session_name.clone(),
                    address: address.to_owned(),
                    session: lock.session,
                };
                found.insert(order(&node.name), node);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// A name as it is sorted: `node2` comes before `node10`.
fn order(name: &str) -> (String, u64, String) {
    let digits = name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let number = name[digits..].parse().unwrap_or(0);
    (name[..digits].to_owned(), number, name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_by_their_value() {
        let mut names = ["node10", "node2", "other", "node", "a7", "node02"];
        names.sort_by_key(|name| order(name));
        assert_eq!(names, ["a7", "node", "node02", "node2", "node10", "other"]);
    }
}
