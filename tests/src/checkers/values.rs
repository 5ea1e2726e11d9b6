//! A value is lost only by the rules: what is read as valid is what was stored last, by an operation that
//! was done or was under way; what is not valid had a reason.
//!
//! **Writers exclude each other** (only PW and EX store), so that what they store has an order, that of
//! being asked for. A store is *overwritten* for a read where a later one was done before the read was
//! asked for.
//!
//! **No value** (nothing, or all zeros) is what a resource begins with, and it begins again whenever no
//! lock is left on it. A session's lock is surely there from the grant that it was told of until it asks
//! for an unlock, or is gone.
//!
//! **Not valid** is a value where a session is gone that may have been writing it, where somebody said so
//! (`IVVALBLK`), or where the slot was made anew from what its clients knew; until the next store. A store
//! that was asked for and not answered when its session claimed what it has is part of that. What a
//! session that is gone had asked for may still be granted to it, up to the moment when the servers purge
//! it; and what it had when its slot was made anew is not known before.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::{Mode, RequestFlags, SlotId, Status, Tick};

use super::exclusion::Book;
use super::{ClientId, End, Fact, History, Lock, Resource, Stored, Ticket, Violation, Want};

const PROPERTY: &str = "values";

/// A store.
#[derive(Clone, Debug)]
struct Store {
    value: Vec<u8>,
    by: (Lock, Ticket),
    /// Its place in the history.
    asked: usize,
    done: Option<usize>,
    /// Where it was under way when its session claimed, or its lock may have had `IVVALBLK` from before, it
    /// may be that nothing was stored and the value is not valid.
    unsure: bool,
}

/// Whether a lock has `IVVALBLK` from its last request or conversion.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    surely: bool,
    perhaps: bool,
}

/// What is known of one resource's value. All places are places in the history.
#[derive(Clone, Debug, Default)]
struct Value {
    stores: Vec<Store>,
    /// When there was a reason for it not to be valid; and the operation that says so, where one does.
    reasons: Vec<(usize, Option<(Lock, Ticket)>)>,
    /// The last moment when perhaps no lock was on the resource.
    empty: usize,
}

impl Value {
    /// The store that a read, asked for then, must see if it sees none that came later.
    fn settled(&self, asked: usize) -> Option<&Store> {
        let done = |store: &&Store| store.done.is_some_and(|done| done < asked);
        self.stores.iter().rev().find(done)
    }

    fn allows(&self, read: &Stored, asked: usize, anew: &[(usize, usize)]) -> bool {
        let last = self.settled(asked);
        let settled = last.map(|store| store.asked);
        let after = |place: usize| settled.is_none_or(|settled| settled <= place);
        match read {
            Stored::NotValid => {
                let anew = anew.iter().map(|(_, until)| until);
                let unsure = last.is_some_and(|store| store.unsure);
                let mut reasons = self.reasons.iter().map(|(reason, _)| reason).chain(anew);
                unsure || reasons.any(|&reason| after(reason))
            }
            Stored::Valid(bytes) => {
                let begins = bytes.iter().all(|&byte| byte == 0) && after(self.empty);
                let mut stores = self.stores.iter();
                begins || stores.any(|store| store.value == *bytes && after(store.asked))
            }
        }
    }
}

/// A history while it is read.
struct Reader<'a> {
    history: &'a History,
    book: Book,
    values: BTreeMap<&'a Resource, Value>,
    /// Locks that are surely there.
    there: BTreeMap<&'a Resource, BTreeSet<Lock>>,
    lives: Lives,
    /// When slots were made anew, and until when that is a reason.
    anew: BTreeMap<u32, Vec<(usize, usize)>>,
    /// What is under way: when it was asked, and what for.
    asked: BTreeMap<(Lock, Ticket), (usize, &'a Want)>,
    /// What locks have from their last request or conversion; and had before one that is under way.
    marking: BTreeMap<Lock, Marks>,
    marked: BTreeMap<(Lock, Ticket), Marks>,
}

/// Checks it.
///
/// # Errors
/// The first value that was read and cannot have been there.
pub fn check(history: &History) -> Result<(), Violation> {
    let mut reader = Reader {
        history,
        book: Book::default(),
        values: BTreeMap::new(),
        there: BTreeMap::new(),
        anew: BTreeMap::new(),
        lives: Lives::of(history),
        asked: BTreeMap::new(),
        marking: BTreeMap::new(),
        marked: BTreeMap::new(),
    };
    for (place, entry) in history.entries().iter().enumerate() {
        let read = reader.before(place, &entry.fact);
        if let Some((resource, text)) = read {
            return Err(violation(entry.at, resource, text));
        }
        reader.book.take(&entry.fact);
        reader.after(place, &entry.fact);
    }
    Ok(())
}

/// When sessions began, were gone, and were purged by the last server. All are places in the history.
#[derive(Clone, Debug, Default)]
struct Lives {
    began: BTreeMap<ClientId, usize>,
    gone: BTreeMap<ClientId, usize>,
    purged: BTreeMap<ClientId, usize>,
    /// When each slot was served again.
    served: BTreeMap<u32, Vec<usize>>,
}

impl Lives {
    fn of(history: &History) -> Self {
        let mut lives = Self::default();
        let mut sessions = BTreeMap::new();
        for (place, entry) in history.entries().iter().enumerate() {
            if let Some(gone) = entry.fact.gone() {
                lives.gone.entry(gone).or_insert(place);
            }
            match &entry.fact {
                Fact::Joined { client, session } => {
                    sessions.insert(*session, *client);
                    lives.began.insert(*client, place);
                }
                Fact::Purged { session } => {
                    let client = sessions.get(session);
                    lives.purged.extend(client.map(|client| (*client, place)));
                }
                Fact::Served { slot } => lives.served.entry(*slot).or_default().push(place),
                _ => {}
            }
        }
        lives
    }

    fn purged(&self, client: ClientId) -> usize {
        self.purged.get(&client).copied().unwrap_or(usize::MAX)
    }

    /// Until when the locks of a session may not be known in a slot that is made anew at this place.
    fn unknown_until(&self, slot: u32, place: usize) -> usize {
        let mut served = self.served.get(&slot).into_iter().flatten();
        let served = served.find(|served| **served > place).copied();
        let served = served.unwrap_or(usize::MAX);
        let gone = self.gone.iter().filter(|(client, gone)| {
            let began = self.began.get(client);
            began.is_some_and(|began| *began < place) && **gone < served
        });
        let purged = gone.map(|(client, _)| self.purged(*client));
        purged.max().unwrap_or(place).max(place)
    }
}

fn violation(at: Tick, resource: &Resource, text: String) -> Violation {
    Violation {
        property: PROPERTY,
        at,
        resource: Some(Box::new(resource.clone())),
        text,
    }
}

impl<'a> Reader<'a> {
    /// What a fact means while the locks are what they were.
    fn before(&mut self, place: usize, fact: &'a Fact) -> Option<(&'a Resource, String)> {
        match fact {
            Fact::Asked { lock, ticket, .. } => {
                self.asks(place, *lock, *ticket, fact);
                None
            }
            Fact::Ended { lock, ticket, end } => self.ends(place, *lock, *ticket, end),
            Fact::Recovered { slot, .. } => {
                let until = self.lives.unknown_until(*slot, place);
                self.anew.entry(*slot).or_default().push((place, until));
                None
            }
            Fact::Claimed { client, slot } => {
                self.claims(*client, *slot);
                None
            }
            _ => {
                if let Some(gone) = fact.gone() {
                    self.goes(place, gone);
                }
                None
            }
        }
    }

    fn asks(&mut self, place: usize, lock: Lock, ticket: Ticket, fact: &'a Fact) {
        let Fact::Asked {
            want, flags, value, ..
        } = fact
        else {
            return;
        };
        self.asked.insert((lock, ticket), (place, want));
        // A lock keeps the flags of its last request or conversion, and those of an unlock come on top, as in
        // fs/dlm (`lkb_exflags`): with IVVALBLK in either an unlock marks, and stores nothing. A conversion
        // that failed has left its flags, too, where it came as far as the lock: a try that finds its slot
        // not served fails before that, and the lock is as it was.
        let ours = flags.contains(RequestFlags::IVVALBLK);
        let mut marks = Marks {
            surely: ours,
            perhaps: ours,
        };
        match want {
            Want::Request { .. } | Want::Convert { .. } => {
                let before = self.marking.insert(lock, marks).unwrap_or_default();
                self.marked.insert((lock, ticket), before);
            }
            Want::Unlock => {
                let before = self.marking.get(&lock).copied().unwrap_or_default();
                marks.surely |= before.surely;
                marks.perhaps |= before.perhaps;
            }
            Want::Cancel => {}
        }
        let held = self.book.0.get(&lock).and_then(|known| known.mode);
        let Some(resource) = self.history.resource(lock) else {
            return;
        };
        let of = self.values.entry(resource).or_default();
        if !writes(held, want) {
            return;
        }
        if marks.surely {
            of.reasons.push((place, Some((lock, ticket))));
        } else if let (true, Some(value)) = (flags.contains(RequestFlags::VALBLK), value) {
            of.stores.push(Store {
                value: value.clone(),
                by: (lock, ticket),
                asked: place,
                done: None,
                unsure: marks.perhaps,
            });
        } else if marks.perhaps {
            of.reasons.push((place, Some((lock, ticket))));
        }
    }

    fn ends(
        &mut self,
        place: usize,
        lock: Lock,
        ticket: Ticket,
        end: &End,
    ) -> Option<(&'a Resource, String)> {
        let (asked, _) = self.asked.remove(&(lock, ticket))?;
        let before = self.marked.remove(&(lock, ticket));
        if let (Status::TryFailed, Some(before)) = (end.status, before) {
            let marks = self.marking.entry(lock).or_default();
            marks.surely &= before.surely;
            marks.perhaps |= before.perhaps;
        }
        let resource = self.history.resource(lock)?;
        let value = self.values.entry(resource).or_default();
        let store = value
            .stores
            .iter()
            .position(|store| store.by == (lock, ticket));
        let done = matches!(end.status, Status::Granted | Status::Unlocked);
        if let Some(store) = store.filter(|_| done) {
            value.stores[store].done = Some(place);
        } else if !done {
            // What failed moved nothing.
            value.stores.retain(|store| store.by != (lock, ticket));
            value.reasons.retain(|(_, by)| *by != Some((lock, ticket)));
        }
        let read = end.value.as_ref()?;
        let slot = SlotId::of(resource.lockspace, &resource.name).number();
        let anew = self.anew.get(&slot).map_or(&[][..], Vec::as_slice);
        let allowed = value.allows(read, asked, anew);
        let last = value.settled(asked).map(|store| &store.value);
        let text = format!("{lock:?} read {read:?}; what was stored before is {last:?}");
        (!allowed).then_some((resource, text))
    }

    /// What a session had under way in a slot is made anew with the rest.
    fn claims(&mut self, client: ClientId, slot: u32) {
        for (resource, value) in &mut self.values {
            if SlotId::of(resource.lockspace, &resource.name).number() != slot {
                continue;
            }
            let stores = value.stores.iter_mut();
            let theirs = stores.filter(|store| store.by.0.client == client);
            for store in theirs.filter(|store| store.done.is_none()) {
                store.unsure = true;
            }
        }
    }

    /// A session is gone: what it may have been writing may be not valid, unless it gave all back.
    fn goes(&mut self, place: usize, gone: ClientId) {
        let wrote = |mode: Option<Mode>| matches!(mode, Some(Mode::Pw | Mode::Ex));
        for (lock, known) in &self.book.0 {
            let under_way = self.asked.iter().any(|((of, _), (_, want))| {
                let wanted = match want {
                    Want::Request { mode, .. } | Want::Convert { mode } => Some(*mode),
                    Want::Unlock | Want::Cancel => None,
                };
                of == lock && wrote(wanted)
            });
            let wrote = wrote(known.mode) || under_way;
            if lock.client != gone || !wrote {
                continue;
            }
            let until = if under_way {
                self.lives.purged(gone).max(place)
            } else {
                place
            };
            if let Some(resource) = self.history.resource(*lock) {
                let value = self.values.entry(resource).or_default();
                value.reasons.push((until, None));
            }
        }
        self.asked.retain(|(lock, _), _| lock.client != gone);
    }

    /// After a fact: which resources may have no lock now.
    fn after(&mut self, place: usize, fact: &Fact) {
        if let Some(lock) = fact.lock() {
            let Some(resource) = self.history.resource(lock) else {
                return;
            };
            let known = self.book.0.get(&lock);
            let there = self.there.entry(resource).or_default();
            if known.is_some_and(|known| known.relied().is_some()) {
                there.insert(lock);
            } else {
                there.remove(&lock);
            }
            self.is_empty(place, resource);
        } else if let Some(gone) = fact.gone() {
            let of_resources = self.there.values_mut();
            of_resources.for_each(|there| there.retain(|lock| lock.client != gone));
            let resources: Vec<&Resource> = self.values.keys().copied().collect();
            for resource in resources {
                self.is_empty(place, resource);
            }
        }
    }

    fn is_empty(&mut self, place: usize, resource: &'a Resource) {
        let there = self.there.get(resource);
        let there = there.is_some_and(|there| !there.is_empty());
        let value = self.values.entry(resource).or_default();
        // Until the next change, and so up to the next fact about it.
        if !there {
            value.empty = usize::MAX;
        } else if value.empty == usize::MAX {
            value.empty = place;
        }
    }
}

/// Whether an operation with a value block stores it: from PW and EX, unless it asks for more.
fn writes(held: Option<Mode>, want: &Want) -> bool {
    match (held, want) {
        (Some(Mode::Pw), Want::Convert { mode }) => *mode != Mode::Ex,
        (Some(Mode::Ex), Want::Convert { .. }) | (Some(Mode::Pw | Mode::Ex), Want::Unlock) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::{SessionId, Token};

    use super::super::tests::Story;
    use super::*;

    /// A value was stored, and a lock keeps the resource.
    fn stored() -> Story {
        let mut story = Story::new();
        story.granted(9, Mode::Nl, 1);
        story.granted(1, Mode::Ex, 2);
        let unlock = story.stores(1, Some(b"one"));
        story.end_without(1, unlock);
        story
    }

    fn valid(bytes: &[u8]) -> Stored {
        Stored::Valid(bytes.to_vec())
    }

    #[test]
    fn what_was_stored_is_read() {
        for (read, good) in [
            (valid(b"one"), true),
            (valid(b"two"), false),
            (valid(&[0; 3]), false),
            (Stored::NotValid, false),
        ] {
            let mut story = stored();
            story.reads(2, Mode::Pr, read.clone());
            assert_eq!(check(&story.history).is_ok(), good, "{read:?}");
        }
    }

    #[test]
    fn an_older_value_does_not_come_back() {
        let mut story = stored();
        story.granted(3, Mode::Pw, 3);
        let second = story.stores(3, Some(b"two"));
        let mut under_way = story.clone();
        // Under way, it is stored or it is not.
        for value in [b"one", b"two"] {
            under_way.reads(u64::from(value[0]), Mode::Nl, valid(value));
        }
        assert_eq!(check(&under_way.history), Ok(()));
        story.end_without(3, second);
        story.reads(4, Mode::Nl, valid(b"two"));
        assert_eq!(check(&story.history), Ok(()));
        story.reads(5, Mode::Nl, valid(b"one"));
        assert!(check(&story.history).is_err());
    }

    #[test]
    fn a_value_is_not_valid_after_its_writer_died_or_said_so() {
        let mut died = stored();
        died.granted(3, Mode::Ex, 3);
        let mut read_only = died.clone();
        died.fact(Fact::Died {
            client: Story::client(3),
        });
        died.reads(4, Mode::Pr, Stored::NotValid);
        assert_eq!(check(&died.history), Ok(()));
        // After the next store there is no reason any more.
        died.granted(5, Mode::Ex, 5);
        let unlock = died.stores(5, Some(b"six"));
        died.end_without(5, unlock);
        died.reads(6, Mode::Pr, Stored::NotValid);
        assert!(check(&died.history).is_err());

        let unlock = read_only.stores(3, None);
        read_only.end_without(3, unlock);
        read_only.reads(4, Mode::Pr, Stored::NotValid);
        assert_eq!(check(&read_only.history), Ok(()));
    }

    /// That counts for the unlock, until another conversion; a try may have failed before it came so far.
    #[test]
    fn ivvalblk_of_the_last_conversion_marks_with_the_unlock() {
        for (another, good) in [(false, true), (true, false)] {
            let mut story = stored();
            story.granted(3, Mode::Ex, 3);
            let want = || Want::Convert { mode: Mode::Pr };
            let flags = RequestFlags::NOQUEUE | RequestFlags::IVVALBLK;
            let marks = story.ask_with(3, want(), flags, None);
            let mut end = End {
                status: Status::TryFailed,
                mode: Some(Mode::Ex),
                token: Token(3),
                value: None,
            };
            story.ended(3, marks, end.clone());
            if another {
                let want = Want::Convert { mode: Mode::Ex };
                let convert = story.ask_with(3, want, RequestFlags::NOQUEUE, None);
                end.status = Status::Granted;
                story.ended(3, convert, end);
            }
            let unlock = story.ask(3, Want::Unlock);
            story.end_without(3, unlock);
            story.reads(4, Mode::Pr, Stored::NotValid);
            assert_eq!(check(&story.history).is_ok(), good, "{another}");
        }
    }

    #[test]
    fn what_is_unlocked_after_such_a_try_is_stored_or_not_valid() {
        for (status, read, good) in [
            (Status::TryFailed, Stored::Valid(b"new".to_vec()), true),
            (Status::TryFailed, Stored::NotValid, true),
            (Status::Granted, Stored::Valid(b"new".to_vec()), false),
            (Status::Granted, Stored::NotValid, true),
        ] {
            let mut story = stored();
            story.granted(3, Mode::Ex, 3);
            let want = Want::Convert { mode: Mode::Ex };
            let flags = RequestFlags::NOQUEUE | RequestFlags::IVVALBLK;
            let tries = story.ask_with(3, want, flags, None);
            let (mode, token, value) = (Some(Mode::Ex), Token(3), None);
            let end = End {
                status,
                mode,
                token,
                value,
            };
            story.ended(3, tries, end);
            let unlock = story.stores(3, Some(b"new"));
            story.end_without(3, unlock);
            let text = format!("{status:?} {read:?}");
            story.reads(4, Mode::Pr, read);
            assert_eq!(check(&story.history).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_writer_that_waits_may_be_granted_after_its_death_until_it_is_purged() {
        let mut story = stored();
        story.granted(5, Mode::Ex, 5);
        let (client, session) = (Story::client(3), SessionId(3));
        story.fact(Fact::Joined { client, session });
        story.request(3, Mode::Ex);
        story.fact(Fact::Died { client });
        let unlock = story.stores(5, Some(b"six"));
        story.end_without(5, unlock);
        story.fact(Fact::Purged { session });
        let mut later = story.clone();
        story.reads(6, Mode::Pr, Stored::NotValid);
        assert_eq!(check(&story.history), Ok(()));
        later.granted(7, Mode::Ex, 7);
        let unlock = later.stores(7, Some(b"ten"));
        later.end_without(7, unlock);
        later.reads(8, Mode::Pr, Stored::NotValid);
        assert!(check(&later.history).is_err());
    }

    #[test]
    fn a_reader_that_dies_is_no_reason() {
        let mut story = stored();
        story.granted(3, Mode::Pr, 3);
        story.fact(Fact::Died {
            client: Story::client(3),
        });
        story.reads(4, Mode::Pr, Stored::NotValid);
        assert!(check(&story.history).is_err());
    }

    #[test]
    fn a_resource_without_locks_begins_again() {
        let mut story = stored();
        let nl = story.ask(9, Want::Unlock);
        let mut early = story.clone();
        story.end_without(9, nl);
        story.reads(2, Mode::Pr, valid(&[0; 3]));
        assert_eq!(check(&story.history), Ok(()));
        early.fact(Fact::Healed);
        early.granted(3, Mode::Ex, 5);
        let store = early.stores(3, Some(b"two"));
        early.end_without(3, store);
        early.reads(4, Mode::Pr, valid(b"two"));
        assert_eq!(check(&early.history), Ok(()));
    }

    /// The slot is made anew, then a value is stored, then that is claimed. What is stored after the claim is
    /// stored at the new master.
    #[test]
    fn a_store_that_is_claimed_is_made_anew_with_its_slot() {
        let slot_of = |story: &Story| {
            let of = story.resource();
            SlotId::of(of.lockspace, &of.name).number()
        };
        for (claims, before, good) in [(3, true, true), (3, false, false), (9, true, false)] {
            let mut story = stored();
            story.granted(3, Mode::Ex, 3);
            let (client, slot) = (Story::client(claims), slot_of(&story));
            story.recovered(slot, 2);
            let claimed = Fact::Claimed { client, slot };
            if !before {
                story.fact(claimed.clone());
            }
            let unlock = story.stores(3, Some(b"two"));
            if before {
                story.fact(claimed);
            }
            story.end_without(3, unlock);
            story.reads(4, Mode::Pr, Stored::NotValid);
            assert_eq!(check(&story.history).is_ok(), good, "{claims} {before}");
        }
    }

    #[test]
    fn a_recovery_of_its_slot_is_a_reason() {
        for (other, good) in [(0, true), (1, false)] {
            let mut story = stored();
            let of = story.resource();
            let slot = SlotId::of(of.lockspace, &of.name).number();
            story.recovered(slot ^ other, 2);
            story.reads(2, Mode::Pr, Stored::NotValid);
            assert_eq!(check(&story.history).is_ok(), good);
        }
    }
}
