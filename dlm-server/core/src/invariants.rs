//! What is true of every lock table between two steps.
//!
//! | name | statement | who relies on it |
//! |---|---|---|
//! | compatible-grants | the modes that two locks of a resource hold are compatible | everybody: it is what a lock is |
//! | no-lost-waiter | the lock that would be granted next cannot be granted | clients, which ask once and wait |
//! | blockers-called | a granted lock in the way of a queued one was told so since its grant | glocks, which give nothing up unasked |
//! | no-conversion-deadlock | no converting lock is kept from its mode by one behind it in that queue | clients, which would wait for ever |
//! | queues-in-shape | a lock stands in the queue it names, once, with the modes that belong there | all code of `resource/` |
//! | tokens-grow | no lock has a token above its resource's, no resource above the table's; locks held in PR, or in CW, share one | storage that checks tokens |
//! | counts-agree | every count is the number of what it counts; no resource is empty | the grant rule, which looks at counts only |
//! | session-owns-its-locks | each lock is in its session's index under its number, and each entry is such a lock | the end of a session, which must leave nothing |
//! | within-limits | no count is above its limit | the server's memory |
//!
//! That a token is larger than those of all earlier grants that exclude it is a property of histories;
//! the test against the model (`tests/model.rs`) checks it.
//!
//! Debug builds check the resource that a step touched; tests check the table.

mod resource;
#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;
use core::fmt;

pub(crate) use resource::check_resource;

use crate::table::LockTable;
use resource::broken;

/// A property that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name, as in the table above.
    pub property: &'static str,
    /// Where and why.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} does not hold: {}", self.property, self.detail)
    }
}

impl core::error::Error for Violation {}

type Checked = Result<(), Violation>;

/// Checks everything; the time is that of walking all locks, and within a resource that of comparing
/// each with six modes.
///
/// # Errors
/// The first property found broken.
pub fn check(table: &LockTable) -> Checked {
    for (place, _) in table.resources.iter() {
        check_resource(table, place)?;
    }
    table_counts_agree(table)?;
    session_owns_its_locks(table)?;
    within_limits(table)
}

fn table_counts_agree(table: &LockTable) -> Checked {
    let (mut locks, mut waiting) = (0, 0);
    for (place, resource) in table.resources.iter() {
        if resource.is_empty() {
            return broken(
                "counts-agree",
                resource,
                "it has no lock and should be gone",
            );
        }
        let name = (resource.lockspace, resource.name.clone());
        if table.names.get(&name) != Some(&place) {
            return broken("counts-agree", resource, "it is not found under its name");
        }
        locks += table.keys_of(place).count();
        waiting += resource.queue_length();
    }
    let counted = (locks, waiting, table.resources.len());
    let kept = (table.locks.len(), table.counters.waiting, table.names.len());
    if counted == kept {
        return Ok(());
    }
    let detail = format!("locks, waiting, resources: counted {counted:?}, kept {kept:?}");
    Err(Violation {
        property: "counts-agree",
        detail,
    })
}

fn session_owns_its_locks(table: &LockTable) -> Checked {
    let mut owned = 0;
    for (&session, entry) in &table.sessions {
        owned += entry.locks.len();
        for (&id, &key) in &entry.locks {
            let lock = table.locks.get(key);
            let is_it = lock.is_some_and(|lock| lock.session == session && lock.id == id);
            if !is_it {
                let detail = format!("{session:?} {id:?} leads to {lock:?}");
                return Err(Violation {
                    property: "session-owns-its-locks",
                    detail,
                });
            }
        }
    }
    if owned == table.locks.len() {
        return Ok(());
    }
    let detail = format!("{} locks, of which sessions own {owned}", table.locks.len());
    Err(Violation {
        property: "session-owns-its-locks",
        detail,
    })
}

fn within_limits(table: &LockTable) -> Checked {
    let limits = &table.limits;
    let longest = table
        .resources
        .iter()
        .map(|(_, resource)| resource.queue_length())
        .max();
    let largest = table
        .sessions
        .values()
        .map(|session| session.locks.len())
        .max();
    let counts = [
        ("resources", table.resources.len(), limits.resources_max),
        (
            "locks of a queue",
            longest.unwrap_or(0),
            limits.queue_length_max,
        ),
        (
            "locks of a session",
            largest.unwrap_or(0),
            limits.locks_per_session_max,
        ),
    ];
    match counts.iter().find(|(_, count, max)| count > max) {
        None => Ok(()),
        Some((what, count, max)) => {
            let detail = format!("{count} {what}, of at most {max}");
            Err(Violation {
                property: "within-limits",
                detail,
            })
        }
    }
}
