//! A grant's token is larger than that of every earlier grant that it excludes: what is written under it
//! can be told from what an earlier holder still writes.

use std::collections::BTreeMap;

use dlm_core::{Mode, Status, Token};

use super::{Fact, History, Lock, Resource, Violation};

const PROPERTY: &str = "tokens";

/// Checks it.
///
/// # Errors
/// The first grant whose token is not larger.
pub fn check(history: &History) -> Result<(), Violation> {
    // The largest token of each lock in each mode.
    let mut grants: BTreeMap<&Resource, BTreeMap<(Lock, Mode), Token>> = BTreeMap::new();
    for entry in history.entries() {
        let Fact::Ended { lock, end, .. } = &entry.fact else {
            continue;
        };
        let granted = matches!(end.status, Status::Granted | Status::Adopted);
        let (Some(mode), true) = (end.mode, granted) else {
            continue;
        };
        let Some(resource) = history.resource(*lock) else {
            continue;
        };
        let before = grants.entry(resource).or_default();
        for ((other, held), token) in &*before {
            if other != lock && !mode.compatible(*held) && end.token <= *token {
                return Err(Violation {
                    property: PROPERTY,
                    at: entry.at,
                    resource: Some(Box::new(resource.clone())),
                    text: format!(
                        "{lock:?} has {mode:?} under {:?}, not larger than {token:?}, under which \
                         {other:?} had {held:?}",
                        end.token
                    ),
                });
            }
        }
        let largest = before.entry((*lock, mode)).or_insert(end.token);
        *largest = (*largest).max(end.token);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Want;
    use super::super::tests::Story;
    use super::*;

    #[test]
    fn a_token_that_does_not_grow_is_found() {
        for (second, good) in [(8, true), (7, false), (6, false)] {
            let mut story = Story::new();
            story.granted(1, Mode::Ex, 7);
            story.ask(1, Want::Unlock);
            story.granted(2, Mode::Pr, second);
            assert_eq!(check(&story.history).is_ok(), good, "{second}");
        }
    }

    #[test]
    fn tokens_of_what_goes_together_need_not_grow() {
        let mut story = Story::new();
        story.granted(1, Mode::Pr, 7);
        story.granted(2, Mode::Pr, 5);
        assert_eq!(check(&story.history), Ok(()));
        // A conversion down may keep its token.
        let down = story.ask(1, Want::Convert { mode: Mode::Nl });
        story.end(1, down, Mode::Nl, 7);
        assert_eq!(check(&story.history), Ok(()));
    }
}
