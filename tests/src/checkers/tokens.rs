//! A grant's token is larger than that of every earlier grant that it excludes: what is written under it
//! can be told from what an earlier holder still writes.
//!
//! Whoever hears of a grant when it has asked for an unlock already does not rely on it: what was granted
//! since may have been heard of before.

use std::collections::BTreeMap;

use dlm_core::{Mode, Status, Token};

use super::exclusion::Book;
use super::{Fact, History, Lock, Resource, Violation};

const PROPERTY: &str = "tokens";

/// Checks it.
///
/// # Errors
/// The first grant whose token is not larger.
pub fn check(history: &History) -> Result<(), Violation> {
    // The largest token of each lock in each mode.
    let mut grants: BTreeMap<&Resource, BTreeMap<(Lock, Mode), Token>> = BTreeMap::new();
    let mut book = Book::default();
    for entry in history.entries() {
        book.take(&entry.fact);
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
        let relied = book
            .0
            .get(lock)
            .is_some_and(|known| known.relied().is_some());
        for ((other, held), token) in before.iter().filter(|_| relied) {
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
    fn a_grant_that_was_given_up_before_it_was_heard_of_may_be_heard_of_late() {
        for (given_up, good) in [(true, true), (false, false)] {
            let mut story = Story::new();
            let first = story.request(1, Mode::Ex);
            if given_up {
                story.ask(1, Want::Unlock);
            }
            story.granted(2, Mode::Ex, 8);
            story.end(1, first, Mode::Ex, 7);
            assert_eq!(check(&story.history).is_ok(), good);
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
