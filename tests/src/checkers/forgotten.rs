//! No lock and no waiter is forgotten. To be asked at the end of a run that gave everything time enough:
//! every request of a session that lives was answered; and, where the masters' tables were read, they have
//! exactly what living sessions hold.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::{Mode, Tick};

use super::exclusion::Book;
use super::{ClientId, Fact, History, Lock, Resource, Ticket, Violation};

const PROPERTY: &str = "forgotten";

/// Checks it.
///
/// # Errors
/// The first that was forgotten.
pub fn check(history: &History) -> Result<(), Violation> {
    waiters(history)?;
    locks(history)
}

/// What is asked and not answered, by session: when, and of which lock.
pub(super) type Open = BTreeMap<(ClientId, Ticket), (Tick, Option<Lock>)>;

/// Takes the next fact into what is open, and says what it answers.
pub(super) fn follow(open: &mut Open, at: Tick, fact: &Fact) -> Option<(Tick, Option<Lock>)> {
    if let Some(gone) = fact.gone() {
        open.retain(|(client, _), _| *client != gone);
        return None;
    }
    match fact {
        Fact::Asked { lock, ticket, .. } => {
            open.insert((lock.client, *ticket), (at, Some(*lock)));
            None
        }
        Fact::Called { client, ticket, .. } => {
            open.insert((*client, *ticket), (at, None));
            None
        }
        Fact::Ended { lock, ticket, .. } => open.remove(&(lock.client, *ticket)),
        Fact::Answered { client, ticket, .. } => open.remove(&(*client, *ticket)),
        _ => None,
    }
}

fn waiters(history: &History) -> Result<(), Violation> {
    let mut open = Open::new();
    for entry in history.entries() {
        follow(&mut open, entry.at, &entry.fact);
    }
    let Some(((client, ticket), (at, lock))) = open.into_iter().next() else {
        return Ok(());
    };
    let resource = lock.and_then(|lock| history.resource(lock)).cloned();
    let text = format!("{client:?} asked {ticket:?} of {lock:?} and was never answered");
    Err(violation(at, resource, text))
}

fn locks(history: &History) -> Result<(), Violation> {
    let mut book = Book::default();
    let mut left = BTreeSet::new();
    let mut tables: BTreeMap<Lock, (Option<Mode>, &Resource)> = BTreeMap::new();
    let mut read = None;
    for entry in history.entries() {
        book.take(&entry.fact);
        match &entry.fact {
            Fact::InTable {
                lock,
                resource,
                mode,
            } => drop(tables.insert(*lock, (*mode, resource))),
            Fact::TablesRead => read = Some(entry.at),
            Fact::Left { client } => drop(left.insert(*client)),
            _ => {}
        }
    }
    let Some(at) = read else { return Ok(()) };
    for (lock, known) in &book.0 {
        let resource = history.resource(*lock).cloned();
        let there = tables.get(lock).and_then(|(mode, _)| *mode);
        if known.under_way.is_empty() && known.mode != there {
            let text = format!(
                "{lock:?} has {:?}, and its master knows of {there:?}",
                known.mode
            );
            return Err(violation(at, resource, text));
        }
    }
    let ghost = tables.iter().find(|(lock, _)| left.contains(&lock.client));
    let Some((lock, (_, resource))) = ghost else {
        return Ok(());
    };
    let text = format!("{lock:?} is still there, and its session said goodbye");
    Err(violation(at, Some((*resource).clone()), text))
}

fn violation(at: Tick, resource: Option<Resource>, text: String) -> Violation {
    Violation {
        property: PROPERTY,
        at,
        resource: resource.map(Box::new),
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Want;
    use super::super::tests::Story;
    use super::*;

    #[test]
    fn a_waiter_is_forgotten_unless_its_session_is_gone() {
        let mut story = Story::new();
        let mode = Mode::Ex;
        story.request(1, mode);
        assert!(check(&story.history).is_err());
        story.fact(Fact::Lost {
            client: Story::client(1),
        });
        assert_eq!(check(&story.history), Ok(()));
        let (client, ticket) = (Story::client(2), Ticket(1000));
        let what = "joins".to_owned();
        story.fact(Fact::Called {
            client,
            ticket,
            what,
        });
        assert!(check(&story.history).is_err());
        let how = "joined".to_owned();
        story.fact(Fact::Answered {
            client,
            ticket,
            how,
        });
        assert_eq!(check(&story.history), Ok(()));
    }

    fn table(story: &mut Story, number: u64, mode: Mode) {
        let (lock, resource) = (Story::lock(number), story.resource());
        let mode = Some(mode);
        story.fact(Fact::InTable {
            lock,
            resource,
            mode,
        });
    }

    #[test]
    fn the_tables_have_what_is_held() {
        let mut good = Story::new();
        good.granted(1, Mode::Pr, 1);
        good.granted(2, Mode::Pr, 2);
        let bad = good.clone();
        table(&mut good, 1, Mode::Pr);
        let mut weaker = good.clone();
        table(&mut good, 2, Mode::Pr);
        table(&mut weaker, 2, Mode::Cr);
        for (mut story, fine) in [(good, true), (bad, false), (weaker, false)] {
            story.fact(Fact::TablesRead);
            assert_eq!(check(&story.history).is_ok(), fine);
        }
    }

    #[test]
    fn a_lock_that_its_session_does_not_have_is_found() {
        let mut gave_back = Story::new();
        gave_back.granted(1, Mode::Pr, 1);
        let unlock = gave_back.ask(1, Want::Unlock);
        gave_back.end_without(1, unlock);
        let mut left = gave_back.clone();
        left.fact(Fact::Left {
            client: Story::client(1),
        });
        for mut story in [gave_back, left] {
            let mut good = story.clone();
            good.fact(Fact::TablesRead);
            assert_eq!(check(&good.history), Ok(()));
            table(&mut story, 1, Mode::Pr);
            story.fact(Fact::TablesRead);
            assert!(check(&story.history).is_err());
        }
    }
}
