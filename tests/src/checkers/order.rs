//! Who came first is served first, across moves of the slot.
//!
//! Of two plain requests on a resource, one was before the other where it was told its place before the
//! other was asked for, or where its place is the smaller one. The one before is then granted before, if
//! both are, and so has the smaller token: answers overtake each other on their way, tokens do not.
//!
//! A grant whose answer was not heard of is lost with its master, and the next one grants anew. So the one
//! before may have had its turn in time, and its answer name a later token than that of one behind it, which
//! had its turn under the lost master as well and was told. That can be so only where
//!
//! - the slot was made anew in an epoch above that of the smaller token, up to that of the larger one;
//! - both were granted together: nobody gives up what he was not told of (an unlock that was sent meanwhile
//!   is claimed, and then the request does not end as granted), so the one before was still granted, in its
//!   mode or an alternative one, when the one behind was. Their modes go together, then.
//!
//! One whose grant was heard before the other was even asked for came first, whatever the tokens say: grants
//! that do not exclude each other have one token, and where the master of an earlier one was lost that is the
//! token of those who still hold the resource, and may be smaller than that of one who has gone.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::{Epoch, Mode, RequestFlags, SlotId, Status, Token};

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
    wanted: Mode,
    flags: RequestFlags,
    /// When it was told its place in the queue, and the place.
    queued: Option<(usize, u64)>,
    granted: Option<Granted>,
}

#[derive(Clone, Copy, Debug)]
struct Granted {
    at: usize,
    token: Token,
    mode: Mode,
}

/// The epochs in which a slot was made anew.
type Anew = BTreeSet<Epoch>;

/// A token's upper 24 bits.
const fn epoch_of(token: Token) -> Epoch {
    Epoch((token.0 >> 40) as u32)
}

impl Request {
    fn is_before(&self, other: &Self) -> bool {
        let Some((told, serial)) = self.queued else {
            return false;
        };
        let place = other.queued.is_some_and(|(_, later)| serial < later);
        told < other.asked || place
    }

    /// Whether it may have been granted once before, together with one that holds `mode` under the smaller
    /// token, by a master that was lost before anybody heard of it.
    fn is_granted_anew(&self, token: Token, smaller: Token, mode: Mode, anew: &Anew) -> bool {
        let (lost, now) = (epoch_of(smaller), epoch_of(token));
        let was_lost = anew.iter().any(|&epoch| lost < epoch && epoch <= now);
        let alternatives = [
            (RequestFlags::ALTPR, Mode::Pr),
            (RequestFlags::ALTCW, Mode::Cw),
        ];
        let alternatives = alternatives.into_iter();
        let mut alternatives = alternatives.filter(|(flag, _)| self.flags.contains(*flag));
        let together = self.wanted.compatible(mode)
            || alternatives.any(|(_, alternative)| alternative.compatible(mode));
        was_lost && together
    }
}

/// Checks it.
///
/// # Errors
/// The first that was served before one that had come before it.
pub fn check(history: &History) -> Result<(), Violation> {
    let recovered = recovered(history);
    for (resource, requests) in requests(history) {
        let slot = SlotId::of(resource.lockspace, &resource.name).number();
        let anew = recovered.get(&slot).unwrap_or(const { &Anew::new() });
        for (lock, one) in &requests {
            let Some(Granted {
                at: heard, token, ..
            }) = one.granted
            else {
                continue;
            };
            let overtakes = |other: &Request| {
                let later = other.granted.filter(|later| later.token < token)?;
                let is_fair = !one.is_before(other)
                    || heard < other.asked
                    || one.is_granted_anew(token, later.token, later.mode, anew);
                (!is_fair).then_some(later.at)
            };
            let mut others = requests.iter();
            let overtook = others.find_map(|(other, request)| Some((other, overtakes(request)?)));
            if let Some((other, at)) = overtook {
                return Err(Violation {
                    property: PROPERTY,
                    at: history.entries()[at].at,
                    resource: Some(Box::new(resource.clone())),
                    text: format!("{other:?} came after {lock:?} and was served before it"),
                });
            }
        }
    }
    Ok(())
}

fn recovered(history: &History) -> BTreeMap<u32, Anew> {
    let mut found: BTreeMap<u32, Anew> = BTreeMap::new();
    for entry in history.entries() {
        if let Fact::Recovered { slot, epoch } = entry.fact {
            found.entry(slot).or_default().insert(epoch);
        }
    }
    found
}

fn requests(history: &History) -> BTreeMap<&Resource, BTreeMap<Lock, Request>> {
    let mut found: BTreeMap<&Resource, BTreeMap<Lock, Request>> = BTreeMap::new();
    let mut under_way: BTreeMap<(Lock, Ticket), Request> = BTreeMap::new();
    for (at, entry) in history.entries().iter().enumerate() {
        match &entry.fact {
            Fact::Asked {
                lock,
                ticket,
                want: Want::Request { mode, .. },
                flags,
                ..
            } if !flags.intersects(NOT_PLAIN) => {
                let request = Request {
                    asked: at,
                    wanted: *mode,
                    flags: *flags,
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
                if let (Status::Granted, Some(mode)) = (end.status, end.mode) {
                    let token = end.token;
                    request.granted = Some(Granted { at, token, mode });
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

    /// Both were granted by a master that was lost, and the first did not hear of it.
    #[test]
    fn what_is_granted_anew_may_have_had_its_turn_in_time() {
        let token = |epoch: u64, count: u64| (epoch << 40) + count;
        let slot = |story: &Story| {
            let of = story.resource();
            SlotId::of(of.lockspace, &of.name).number()
        };
        let pr = (Mode::Pr, RequestFlags::empty());
        for (anew, (mode, flags), again, good) in [
            (Some(3), pr, token(3, 1), true),
            (None, pr, token(3, 1), false),
            (Some(2), pr, token(3, 1), false),
            (Some(4), pr, token(3, 1), false),
            (Some(3), pr, token(2, 9), false),
            (
                Some(3),
                (Mode::Ex, RequestFlags::empty()),
                token(3, 1),
                false,
            ),
            (Some(3), (Mode::Ex, RequestFlags::ALTPR), token(3, 1), true),
            (Some(3), (Mode::Ex, RequestFlags::ALTCW), token(3, 1), false),
        ] {
            let mut story = Story::new();
            let resource = story.resource();
            let want = Want::Request { resource, mode };
            let one = story.ask_with(1, want, flags, None);
            story.queued(1, one, 5);
            let two = story.request(2, Mode::Pr);
            story.queued(2, two, 6);
            story.end(2, two, Mode::Pr, token(2, 8));
            let unlock = story.ask(2, Want::Unlock);
            story.end_without(2, unlock);
            if let Some(epoch) = anew {
                let slot = slot(&story);
                story.recovered(slot ^ 1, 3);
                story.recovered(slot, epoch);
            }
            story.end(1, one, mode, again);
            let found = check(&story.history);
            assert_eq!(found.is_ok(), good, "{anew:?} {mode} {flags:?} {again}");
        }
    }

    /// Its master was lost and it has gone, and the token is that of another one who stayed.
    #[test]
    fn who_was_served_before_the_other_asked_came_first() {
        for (heard_first, good) in [(true, true), (false, false)] {
            let mut story = Story::new();
            let one = story.request(1, Mode::Pr);
            story.queued(1, one, 5);
            if heard_first {
                story.end(1, one, Mode::Pr, 8);
            }
            let two = story.request(2, Mode::Nl);
            if !heard_first {
                story.end(1, one, Mode::Pr, 8);
            }
            story.end(2, two, Mode::Nl, 7);
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
