//! States after the same entry are equal, on every server and in every life.

use std::collections::BTreeMap;

use super::{Fact, History, Violation};

const PROPERTY: &str = "replicas";

/// Checks it.
///
/// # Errors
/// The first state that differs.
pub fn check(history: &History) -> Result<(), Violation> {
    let mut states = BTreeMap::new();
    for entry in history.entries() {
        let Fact::Applied {
            server,
            index,
            digest,
        } = &entry.fact
        else {
            continue;
        };
        let (first, known) = states.entry(*index).or_insert((*server, *digest));
        if known != digest {
            return Err(Violation {
                property: PROPERTY,
                at: entry.at,
                resource: None,
                text: format!("{server:?} and {first:?} differ after {index:?}"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dlm_core::{LogIndex, ServerId};

    use super::super::tests::Story;
    use super::*;

    #[test]
    fn a_state_that_differs_is_found() {
        let applied = |server, index, digest| Fact::Applied {
            server: ServerId(server),
            index: LogIndex(index),
            digest,
        };
        let mut story = Story::new();
        for fact in [applied(1, 4, 10), applied(2, 4, 10), applied(2, 5, 11)] {
            story.fact(fact);
        }
        assert_eq!(check(&story.history), Ok(()));
        story.fact(applied(1, 5, 12));
        assert!(check(&story.history).is_err());
    }
}
