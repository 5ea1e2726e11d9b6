//! What is true of every lock table between two steps.
//!
//! | name | statement | who relies on it |
//! |---|---|---|
//! | compatible-grants | the modes that two locks of a resource hold are compatible | everybody: it is what a lock is |
//! | no-lost-waiter | the lock that would be granted next cannot be granted, unless it came to stand there with `HEADQUE`, or has an alternative and was demoted or waits for itself, or the resource is closed | clients, which ask once and wait |
//! | blockers-called | a granted lock in the way of a queued one was told so since its grant, unless it was granted with `NOORDER` or a conversion that may deadlock waits | glocks, which give nothing up unasked |
//! | no-conversion-deadlock | no converting lock is kept from its mode by one behind it in that queue, unless one came out of turn or chose to wait | clients, which would wait for ever |
//! | value-in-shape | a value has its lockspace's length; a value is kept for a lock only while it converts | whoever copies it into a buffer |
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

use crate::deadlock::Queue;
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
    values_are_kept_for_conversions(table)?;
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
        let name = resource.name.to_name();
        let found = table
            .index
            .resource(&table.resources, resource.lockspace, &name);
        if found != Some(place) {
            return broken("counts-agree", resource, "it is not found under its name");
        }
        locks += table.keys_of(place).count();
        waiting += resource.queue_length();
    }
    let counted = (locks, waiting, (locks, table.resources.len()));
    let kept = (table.locks.len(), table.counters.waiting, table.index.len());
    if counted == kept {
        return Ok(());
    }
    let detail = format!("locks, waiting, index: counted {counted:?}, kept {kept:?}");
    Err(Violation {
        property: "counts-agree",
        detail,
    })
}

fn session_owns_its_locks(table: &LockTable) -> Checked {
    let property = "session-owns-its-locks";
    let mut owned = 0;
    for (&session, entry) in &table.sessions {
        // One more than it should have is enough to see a ring.
        let keys = table.locks_of(entry).take(entry.locks + 1);
        let mut counted = 0;
        for key in keys {
            let lock = &table.locks[key];
            let found = table.index.lock(&table.locks, (session, lock.id));
            if lock.session != session || found != Some(key) {
                let detail = format!("{session:?} has {lock:?}, and finds {found:?}");
                return Err(Violation { property, detail });
            }
            counted += 1;
        }
        if counted != entry.locks {
            let detail = format!("{session:?} has {} locks, and not {counted}", entry.locks);
            return Err(Violation { property, detail });
        }
        owned += counted;
    }
    if owned == table.locks.len() {
        return Ok(());
    }
    let detail = format!("{} locks, of which sessions own {owned}", table.locks.len());
    Err(Violation { property, detail })
}

fn values_are_kept_for_conversions(table: &LockTable) -> Checked {
    let converts = |key| {
        table
            .locks
            .get(key)
            .is_some_and(|lock| lock.queue == Queue::Converting)
    };
    match table.unstored.keys().find(|&&key| !converts(key)) {
        None => Ok(()),
        Some(key) => Err(Violation {
            property: "value-in-shape",
            detail: format!("a value is kept for {key:?}, which does not convert"),
        }),
    }
}

fn within_limits(table: &LockTable) -> Checked {
    let limits = &table.limits;
    let longest = table
        .resources
        .iter()
        .map(|(_, resource)| resource.queue_length())
        .max();
    let largest = table.sessions.values().map(|session| session.locks).max();
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
