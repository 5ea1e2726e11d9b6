//! No two tasks hold a glock in states that exclude each other, on whatever nodes, and a later one's token is
//! the larger one.
//!
//! A task holds from the moment that it is told so to the moment that it lets go, or its node's session ends
//! by its own clock, or its node dies. On one node those who come after each other have one token, as long
//! as the node keeps the lock.

use std::collections::BTreeMap;

use dlm_core::{Mode, Token};

use super::{ClientId, Fact, History, Resource, Ticket, Violation};

const PROPERTY: &str = "holders";

/// What is known of a glock.
#[derive(Debug, Default)]
struct Known {
    held: BTreeMap<(ClientId, Ticket), Mode>,
    /// The largest token of those that held it in each mode on each node.
    tokens: BTreeMap<(ClientId, Mode), Token>,
}

/// Checks it.
///
/// # Errors
/// The first that was not so.
pub fn check(history: &History) -> Result<(), Violation> {
    let mut glocks: BTreeMap<&Resource, Known> = BTreeMap::new();
    for entry in history.entries() {
        if let Some(gone) = entry.fact.gone() {
            let known = glocks.values_mut();
            known.for_each(|known| known.held.retain(|(client, _), _| *client != gone));
        }
        match &entry.fact {
            Fact::Holds {
                client,
                holder,
                resource,
                mode,
                token,
            } => {
                let known = glocks.entry(resource).or_default();
                known
                    .holds((*client, *holder), *mode, *token)
                    .map_err(|text| Violation {
                        property: PROPERTY,
                        at: entry.at,
                        resource: Some(Box::new(resource.clone())),
                        text,
                    })?;
            }
            Fact::LetGo { client, holder } => {
                for known in glocks.values_mut() {
                    known.held.remove(&(*client, *holder));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl Known {
    fn holds(&mut self, who: (ClientId, Ticket), mode: Mode, token: Token) -> Result<(), String> {
        let mut held = self.held.iter();
        if let Some((other, theirs)) = held.find(|(_, theirs)| !mode.compatible(**theirs)) {
            return Err(format!(
                "{who:?} holds it in {mode:?}, {other:?} in {theirs:?}"
            ));
        }
        let mut tokens = self.tokens.iter();
        let before = tokens.find(|&(&(client, theirs), &earlier)| {
            let is_later = token > earlier || client == who.0 && token == earlier;
            !mode.compatible(theirs) && !is_later
        });
        if let Some(((client, theirs), earlier)) = before {
            return Err(format!(
                "{who:?} has it in {mode:?} under {token:?}, {client:?} had it in {theirs:?} under {earlier:?}"
            ));
        }
        self.held.insert(who, mode);
        let largest = self.tokens.entry((who.0, mode)).or_default();
        *largest = token.max(*largest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Story;
    use super::*;

    fn holds(story: &mut Story, client: u64, holder: u64, mode: Mode, token: u64) {
        let resource = story.resource();
        story.fact(Fact::Holds {
            client: Story::client(client),
            holder: Ticket(holder),
            resource,
            mode,
            token: Token(token),
        });
    }

    fn lets_go(story: &mut Story, client: u64, holder: u64) {
        let client = Story::client(client);
        let holder = Ticket(holder);
        story.fact(Fact::LetGo { client, holder });
    }

    #[test]
    fn two_that_exclude_each_other_are_found_until_one_lets_go_or_is_gone() {
        for (first, second, good) in [
            (Mode::Pr, Mode::Pr, true),
            (Mode::Cw, Mode::Cw, true),
            (Mode::Pr, Mode::Cw, false),
            (Mode::Pr, Mode::Ex, false),
            (Mode::Ex, Mode::Ex, false),
        ] {
            for ends in 0..4 {
                let mut story = Story::new();
                holds(&mut story, 1, 1, first, 1);
                match ends {
                    0 => {}
                    1 => lets_go(&mut story, 1, 1),
                    2 => story.fact(Fact::Lost {
                        client: Story::client(1),
                    }),
                    _ => story.fact(Fact::Died {
                        client: Story::client(1),
                    }),
                }
                holds(&mut story, 2, 1, second, 2);
                assert_eq!(check(&story.history).is_ok(), good || ends > 0);
            }
        }
    }

    #[test]
    fn a_node_excludes_its_own_tasks_too() {
        let mut story = Story::new();
        holds(&mut story, 1, 1, Mode::Ex, 1);
        holds(&mut story, 1, 2, Mode::Ex, 1);
        assert!(check(&story.history).is_err());
    }

    #[test]
    fn tokens_grow_from_node_to_node_and_stay_on_one() {
        for (client, mode, token, good) in [
            (1, Mode::Ex, 5, true),
            (1, Mode::Ex, 4, false),
            (2, Mode::Ex, 6, true),
            (2, Mode::Ex, 5, false),
            (2, Mode::Pr, 5, false),
        ] {
            let mut story = Story::new();
            holds(&mut story, 1, 1, Mode::Ex, 5);
            lets_go(&mut story, 1, 1);
            holds(&mut story, client, 2, mode, token);
            assert_eq!(check(&story.history).is_ok(), good, "{client} {token}");
        }
    }
}
