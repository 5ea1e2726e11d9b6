//! No two hold what excludes each other, by the world's time.
//!
//! A session relies on a lock from the moment that it is told of the grant to the moment that it asks for
//! an unlock, loses its lease by its own clock, or dies. What a conversion may take away it does not rely
//! on while that is under way: of a conversion from PR to CW only CR is left, of one that may be granted in
//! another mode (`ALTPR`, `ALTCW`) what that has in common with it, and nothing of one that may give up
//! its mode while it waits (`CONVDEADLK`).

use std::collections::BTreeMap;

use dlm_core::{Mode, RequestFlags};

use super::{Entry, Fact, History, Lock, Resource, Ticket, Violation, Want};

const PROPERTY: &str = "exclusion";

/// A lock as its session knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// What it was last told.
    pub(super) mode: Option<Mode>,
    /// What it asked for and was not answered, each with the most that may be left of the lock.
    pub(super) under_way: BTreeMap<Ticket, Option<Mode>>,
}

impl Known {
    /// What the session relies on.
    pub(super) fn relied(&self) -> Option<Mode> {
        let left = self.under_way.values();
        left.fold(self.mode, |relied, &left| Some(both(relied?, left?)))
    }
}

/// All locks as their sessions know them, while a history is read.
#[derive(Clone, Debug, Default)]
pub(super) struct Book(pub(super) BTreeMap<Lock, Known>);

impl Book {
    /// Takes the next fact, and says which lock it changed.
    pub(super) fn take(&mut self, fact: &Fact) -> Option<Lock> {
        if let Some(gone) = fact.gone() {
            self.0.retain(|lock, _| lock.client != gone);
            return None;
        }
        let lock = fact.lock()?;
        match fact {
            Fact::Asked {
                ticket,
                want,
                flags,
                ..
            } => {
                let known = self.0.entry(lock).or_default();
                let left = match want {
                    Want::Request { .. } | Want::Cancel => Some(Mode::Ex),
                    Want::Convert { .. } if flags.contains(RequestFlags::CONVDEADLK) => {
                        Some(Mode::Nl)
                    }
                    Want::Convert { mode } => Some(least(*mode, *flags)),
                    Want::Unlock => None,
                };
                known.under_way.insert(*ticket, left);
            }
            Fact::Ended { ticket, end, .. } => {
                let known = self.0.entry(lock).or_default();
                known.under_way.remove(ticket);
                known.mode = end.mode;
            }
            Fact::Weakened { mode, .. } => self.0.entry(lock).or_default().mode = Some(*mode),
            _ => return None,
        }
        Some(lock)
    }
}

/// The least that a conversion may be granted in.
fn least(mode: Mode, flags: RequestFlags) -> Mode {
    let others = [
        (RequestFlags::ALTPR, Mode::Pr),
        (RequestFlags::ALTCW, Mode::Cw),
    ];
    let others = others.into_iter().filter(|(flag, _)| flags.contains(*flag));
    others.fold(mode, |least, (_, other)| both(least, other))
}

/// The strongest mode that is no stronger than either.
fn both(one: Mode, other: Mode) -> Mode {
    let modes = Mode::ALL.into_iter().rev();
    let mut weaker = modes.filter(|mode| one.is_down_to(*mode) && other.is_down_to(*mode));
    weaker.next().unwrap_or(Mode::Nl)
}

/// Checks it.
///
/// # Errors
/// The first two that excluded each other.
pub fn check(history: &History) -> Result<(), Violation> {
    let mut book = Book::default();
    let mut relied: BTreeMap<&Resource, BTreeMap<Lock, Mode>> = BTreeMap::new();
    for entry in history.entries() {
        let changed = book.take(&entry.fact);
        if let Some(gone) = entry.fact.gone() {
            let of_resources = relied.values_mut();
            of_resources.for_each(|locks| locks.retain(|lock, _| lock.client != gone));
        }
        let Some((lock, resource)) = changed.and_then(|lock| Some((lock, history.resource(lock)?)))
        else {
            continue;
        };
        let others = relied.entry(resource).or_default();
        others.remove(&lock);
        if let Some(mode) = book.0[&lock].relied() {
            against(entry, resource, lock, mode, others)?;
            others.insert(lock, mode);
        }
    }
    Ok(())
}

fn against(
    entry: &Entry,
    resource: &Resource,
    lock: Lock,
    mode: Mode,
    others: &BTreeMap<Lock, Mode>,
) -> Result<(), Violation> {
    for (other, held) in others {
        if !mode.compatible(*held) {
            return Err(Violation {
                property: PROPERTY,
                at: entry.at,
                resource: Some(Box::new(resource.clone())),
                text: format!("{lock:?} has {mode:?} while {other:?} has {held:?}"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::Story;
    use super::*;

    #[test]
    fn two_that_exclude_each_other_are_found() {
        let mut story = Story::new();
        story.granted(1, Mode::Pr, 1);
        story.granted(2, Mode::Cr, 2);
        assert_eq!(check(&story.history), Ok(()));
        story.granted(3, Mode::Ex, 3);
        let found = check(&story.history).expect_err("EX beside PR");
        assert_eq!(
            (found.property, found.resource),
            (PROPERTY, Some(Box::new(story.resource())))
        );
    }

    #[test]
    fn an_unlock_a_loss_and_a_death_each_end_a_hold() {
        for how in 0..3 {
            let mut story = Story::new();
            story.granted(1, Mode::Ex, 1);
            match how {
                0 => drop(story.ask(1, Want::Unlock)),
                1 => story.fact(Fact::Lost {
                    client: Story::client(1),
                }),
                _ => story.fact(Fact::Died {
                    client: Story::client(1),
                }),
            }
            story.granted(2, Mode::Ex, 2);
            assert_eq!(check(&story.history), Ok(()), "{how}");
        }
    }

    #[test]
    fn a_conversion_under_way_holds_what_it_cannot_lose() {
        let mut story = Story::new();
        story.granted(1, Mode::Pr, 1);
        let down = story.ask(1, Want::Convert { mode: Mode::Cw });
        story.granted(2, Mode::Cw, 2);
        assert_eq!(check(&story.history), Ok(()), "of PR and CW, CR is left");
        story.end(1, down, Mode::Pr, 3);
        assert!(check(&story.history).is_err(), "PR again, beside CW");

        let mut story = Story::new();
        story.granted(1, Mode::Pr, 1);
        let up = story.ask(1, Want::Convert { mode: Mode::Ex });
        story.granted(2, Mode::Pr, 2);
        assert_eq!(check(&story.history), Ok(()));
        story.end(1, up, Mode::Ex, 3);
        assert!(check(&story.history).is_err());
    }

    #[test]
    fn what_may_be_granted_in_another_mode_relies_on_no_more() {
        for (flags, good) in [(RequestFlags::ALTPR, true), (RequestFlags::empty(), false)] {
            let mut story = Story::new();
            story.granted(1, Mode::Pw, 1);
            let want = Want::Convert { mode: Mode::Ex };
            story.ask_with(1, want, flags, None);
            story.granted(2, Mode::Pr, 2);
            assert_eq!(check(&story.history).is_ok(), good);
        }
    }

    #[test]
    fn what_may_give_up_its_mode_relies_on_nothing() {
        let mut story = Story::new();
        story.granted(1, Mode::Pr, 1);
        let want = Want::Convert { mode: Mode::Ex };
        story.ask_with(1, want, RequestFlags::CONVDEADLK, None);
        story.granted(2, Mode::Ex, 2);
        assert_eq!(check(&story.history), Ok(()));
    }
}
