//! Actions in the order of time: what undoes what, and what cannot be done then.

use super::mistakes::Mistakes;
use super::{Action, Verb, units};

/// Puts them in order, and says which each of them undoes.
pub(super) fn order(mut actions: Vec<Action>, mistakes: &mut Mistakes<'_>) -> Vec<Action> {
    // Of those of the same time, what undoes comes first, so that the end of one may be the beginning of the next.
    actions.sort_by_key(|action| (action.at_us, action.verb.undone_by().is_some(), action.line));
    let mut open: Vec<usize> = Vec::new();
    for number in 0..actions.len() {
        let (before, rest) = actions.split_at_mut(number);
        let action = &mut rest[0];
        action.undoes = open
            .iter()
            .copied()
            .filter(|&one| undoes(action, &before[one]))
            .collect();
        open.retain(|one| !action.undoes.contains(one));
        if let Some(needed) = action.verb.needs().filter(|_| action.undoes.is_empty()) {
            let text = format!(
                "{} {} at {}: there was no {needed} of it before that is not over; leave it out, or name whom it was \
                 done to",
                action.verb,
                action.target,
                units::shown(action.at_us)
            );
            mistakes.add_at(action.line, text);
        }
        if action.verb.undone_by().is_none() {
            continue;
        }
        if let Some(&twice) = open.iter().find(|&&one| is_same(action, &before[one])) {
            let text = format!(
                "{} {} at {}: that was done at {} and is not over; undo it before",
                action.verb,
                action.target,
                units::shown(action.at_us),
                units::shown(before[twice].at_us)
            );
            mistakes.add_at(action.line, text);
        }
        open.push(number);
    }
    actions
}

fn undoes(action: &Action, before: &Action) -> bool {
    let by = before.verb.undone_by();
    let rolling = action.verb == Verb::RestartRolling && by == Some(Verb::Restart);
    (by == Some(action.verb) || rolling) && action.target.covers(&before.target)
}

/// Whether both do the same to somebody.
fn is_same(one: &Action, other: &Action) -> bool {
    let common = one.target.covers(&other.target) || other.target.covers(&one.target);
    one.verb.name() == other.verb.name() && common
}
