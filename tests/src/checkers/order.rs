//! Who came first is served first, across moves of the slot.
//!
//! Of two plain requests on a resource, one was before the other where it was told its place before the
//! other was asked for, or where its place is the smaller one. The one before is then granted before, if
//! both are, and so has the smaller token: answers overtake each other on their way, tokens do not.

use std::collections::BTreeMap;

use dlm_core::{RequestFlags, Status, Token};

use super::{Fact, History, Lock, Resource, Ticket, Violation, Want};

const PROPERTY: &str = "order";

/// What takes a request out of the queue's order.
const NOT_PLAIN: RequestFlags = RequestFlags::NOQUEUE
    .union(RequestFlags::EXPEDITE)
    .union(RequestFlags::HEADQUE)
    .union(RequestFlags::NOORDER)
    .union(RequestFlags::ORPHAN);

/// A plain request. Places are places in the history.
#[derive(Clone, Copy, Debug)]
struct Request {
    asked: usize,
    /// When it was told its place in the queue, and the place.
    queued: Option<(usize, u64)>,
    granted: Option<(usize, Token)>,
}

impl Request {
    fn is_before(&self, other: &Self) -> bool {
        let Some((told, serial)) = self.queued else {
            return false;
        };
        let place = other.queued.is_some_and(|(_, later)| serial < later);
        told < other.asked || place
    }
}

/// Checks it.
///
/// # Errors
/// The first that was served before one that had come before it.
pub fn check(history: &History) -> Result<(), Violation> {
    for (resource, requests) in requests(history) {
        for (lock, one) in &requests {
            let Some((_, token)) = one.granted else {
                continue;
            };
            let overtook = requests.iter().find(|(_, other)| {
                let later = other.granted.filter(|(_, granted)| *granted < token);
                later.is_some() && one.is_before(other)
            });
            if let Some((
                other,
                Request {
                    granted: Some((at, _)),
                    ..
                },
            )) = overtook
            {
                return Err(Violation {
                    property: PROPERTY,
                    at: history.entries()[*at].at,
                    resource: Some(Box::new(resource.clone())),
                    text: format!("{other:?} came after {lock:?} and was served before it"),
                });
            }
        }
    }
    Ok(())
}

fn requests(history: &History) -> BTreeMap<&Resource, BTreeMap<Lock, Request>> {
    let mut found: BTreeMap<&Resource, BTreeMap<Lock, Request>> = BTreeMap::new();
    let mut under_way: BTreeMap<(Lock, Ticket), Request> = BTreeMap::new();
    for (at, entry) in history.entries().iter().enumerate() {
        match &entry.fact {
            Fact::Asked {
                lock,
                ticket,
                want: Want::Request { .. },
                flags,
                ..
            } if !flags.intersects(NOT_PLAIN) => {
                let request = Request {
                    asked: at,
                    queued: None,
                    granted: None,
                };
                under_way.insert((*lock, *ticket), request);
            }
            Fact::Queued {
                lock,
                ticket,
                serial,
            } => {
                if let Some(request) = under_way.get_mut(&(*lock, *ticket)) {
                    let told = request.queued.map_or(at, |(told, _)| told);
                    request.queued = Some((told, *serial));
                }
            }
            Fact::Ended { lock, ticket, end } => {
                let request = under_way.remove(&(*lock, *ticket));
                let (Some(mut request), Some(resource)) = (request, history.resource(*lock)) else {
                    continue;
                };
                if end.status == Status::Granted {
                    request.granted = Some((at, end.token));
                    found.entry(resource).or_default().insert(*lock, request);
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use dlm_core::Mode;

    use super::super::tests::Story;
    use super::*;

    #[test]
    fn one_that_came_later_is_not_served_before() {
        for (first, second, good) in [(1, 2, true), (2, 1, false)] {
            let mut story = Story::new();
            let one = story.request(1, Mode::Ex);
            story.queued(1, one, 5);
            let two = story.request(2, Mode::Ex);
            story.end(1, one, Mode::Ex, first);
            story.end(2, two, Mode::Ex, second);
            assert_eq!(check(&story.history).is_ok(), good);
        }
    }

    #[test]
    fn places_count_whoever_was_told_first() {
        for (places, good) in [([5, 6], true), ([6, 5], false)] {
            let mut story = Story::new();
            let two = story.request(2, Mode::Pr);
            let one = story.request(1, Mode::Pr);
            story.queued(2, two, places[1]);
            story.queued(1, one, places[0]);
            // The answers come in the other order.
            story.end(2, two, Mode::Pr, 8);
            story.end(1, one, Mode::Pr, 7);
            assert_eq!(check(&story.history).is_ok(), good);
        }
    }

    #[test]
    fn what_may_overtake_may() {
        let mut story = Story::new();
        let one = story.request(1, Mode::Ex);
        story.queued(1, one, 5);
        let (mode, resource) = (Mode::Ex, story.resource());
        let want = Want::Request { resource, mode };
        let two = story.ask_with(2, want, RequestFlags::HEADQUE, None);
        story.end(2, two, mode, 1);
        story.end(1, one, mode, 2);
        assert_eq!(check(&story.history), Ok(()));
    }
}
