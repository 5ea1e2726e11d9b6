//! Nobody contradicts anybody: what sessions claim after the loss of a master fits together, and sessions
//! and servers count alike. A cluster gets along with those that do not, and evicts them; where all keep
//! the rules there are none.

use super::{Fact, History, Violation};

const PROPERTY: &str = "faultless";

/// Checks it.
///
/// # Errors
/// The first contradiction.
pub fn check(history: &History) -> Result<(), Violation> {
    for entry in history.entries() {
        let text = match &entry.fact {
            Fact::Contradicted { server, why } => format!("{server:?} evicts {why}"),
            Fact::Miscounted { client } => format!("{client:?} and a server count differently"),
            _ => continue,
        };
        return Err(Violation {
            property: PROPERTY,
            at: entry.at,
            resource: None,
            text,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dlm_core::ServerId;

    use super::super::tests::Story;
    use super::*;

    #[test]
    fn a_contradiction_is_found() {
        let mut story = Story::new();
        assert_eq!(check(&story.history), Ok(()));
        let mut counts = story.clone();
        let client = Story::client(1);
        counts.fact(Fact::Miscounted { client });
        assert!(check(&counts.history).is_err());
        let (server, why) = (ServerId(1), "two that exclude each other".to_owned());
        story.fact(Fact::Contradicted { server, why });
        assert!(check(&story.history).is_err());
    }
}
