//! A grant's token is larger than that of every earlier grant that it excludes: what is written under it
//! can be told from what an earlier holder still writes.
//!
//! A history has grants in the order in which they were heard of. Who holds a lock stands in the way of what
//! it excludes until it asks for an unlock; so what is heard of before that was granted after what it
//! excludes and was heard of earlier. What is heard of when an unlock was asked for already may have been
//! granted, and given up, before something that was heard of earlier: its token may be the smaller one. It
//! is never the same.

use std::collections::BTreeMap;

use dlm_core::{LockspaceBase, Mode, ResourceName, Status, Token};

use super::exclusion::Book;
use super::{Fact, History, Lock, Violation};

const PROPERTY: &str = "tokens";

/// What tokens are of: they go on where a lockspace ended and was opened again under its name.
type Named<'a> = (LockspaceBase, &'a ResourceName);

/// Checks it.
///
/// # Errors
/// The first grant whose token is not larger.
pub fn check(history: &History) -> Result<(), Violation> {
    // The largest token of each lock in each mode.
    let mut grants: BTreeMap<Named<'_>, BTreeMap<(Lock, Mode), Token>> = BTreeMap::new();
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
        let named = (resource.lockspace.base(), &resource.name);
        let before = grants.entry(named).or_default();
        let relied = book
            .0
            .get(lock)
            .is_some_and(|known| known.relied().is_some());
        for ((other, held), token) in before.iter() {
            let grows = end.token > *token || !relied && end.token != *token;
            if other != lock && !mode.compatible(*held) && !grows {
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
    use dlm_core::LockspaceId;

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
        for (given_up, token, good) in [(true, 7, true), (false, 7, false), (true, 8, false)] {
            let mut story = Story::new();
            let first = story.request(1, Mode::Ex);
            if given_up {
                story.ask(1, Want::Unlock);
            }
            story.granted(2, Mode::Ex, 8);
            story.end(1, first, Mode::Ex, token);
            assert_eq!(check(&story.history).is_ok(), good);
        }
    }

    #[test]
    fn tokens_grow_over_a_lockspace_that_ended() {
        for (second, good) in [(8, true), (7, false)] {
            let mut story = Story::new();
            story.granted(1, Mode::Ex, 7);
            story.ask(1, Want::Unlock);
            let mut resource = story.resource();
            resource.lockspace = LockspaceId(resource.lockspace.0 + 1);
            let want = Want::Request {
                resource,
                mode: Mode::Ex,
            };
            let again = story.ask(2, want);
            story.end(2, again, Mode::Ex, second);
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
