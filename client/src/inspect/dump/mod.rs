//! fs/dlm's debugfs files, as its tools read them: `dlm_tool lockdebug`, glocktop, and scripts.
//!
//! What the kernel has and we have not stands as it would stand there for nothing: addresses, transaction
//! numbers, recovery counts, the time of the last blocking callback. Where the kernel has a node's number
//! ours is the session's, and where it has a process's ours is the task's number in its session (nobody in
//! particular is 0). A lock's id is the session's number times 2³² and the lock's number in its session:
//! it is the same whoever looks, and read as 32 bits it is the session's own number of the lock.
//!
//! Names are printed as the kernel's own are where they are printable ASCII. Every other byte is a dot, so
//! that a line stays one; [`DlmFile::All`] has such names in hexadecimal, and JSON has all of them.

mod human;
mod rows;

use dlm_core::deadlock::Queue;
use dlm_core::{Mode, ResourceName};

use super::{Lock, Resource};

/// Which of a lockspace's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DlmFile {
    /// `<lockspace>`: for people.
    Human,
    /// `<lockspace>_locks`: a row for each lock.
    Locks,
    /// `<lockspace>_all`: rows for resources, values and locks, with everything that there is.
    All,
    /// `<lockspace>_waiters`: a row for each operation that has no answer yet. The server answers when an
    /// operation has ended, so these are all locks that wait or convert.
    Waiters,
}

impl DlmFile {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Human, Self::Locks, Self::All, Self::Waiters];

    /// What comes behind the lockspace in the file's name.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Human => "",
            Self::Locks => "_locks",
            Self::All => "_all",
            Self::Waiters => "_waiters",
        }
    }
}

/// Where the locks are looked at from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// From nowhere in particular: every lock has its session's number.
    Cluster,
    /// From a session, as its node would see them if it were the master of the resources that it has a lock
    /// on. Its own locks are those of node 0, as in the kernel, and other resources are not seen. A master
    /// waits for no answer, so that there are no waiters: glocktop would take them for messages that
    /// were lost.
    Session(u64),
}

/// Writes one file.
#[derive(Clone, Debug)]
pub struct DlmDump {
    file: DlmFile,
    view: View,
    resources: u64,
}

impl DlmDump {
    /// Begins a file: what it has before the first resource is appended to `to`.
    #[must_use]
    pub fn begin(file: DlmFile, view: View, to: &mut String) -> Self {
        to.push_str(match file {
            DlmFile::Locks => rows::LOCKS_HEADER,
            DlmFile::All => rows::ALL_HEADER,
            DlmFile::Human | DlmFile::Waiters => "",
        });
        Self {
            file,
            view,
            resources: 0,
        }
    }

    /// Appends a resource with all its locks, looked at when the server had run for `uptime_us`.
    pub fn resource(&mut self, resource: &Resource, uptime_us: u64, to: &mut String) {
        if !self.view.sees(resource) {
            return;
        }
        self.resources += 1;
        let seen = Seen {
            resource,
            // In the place of its address.
            number: self.resources,
            view: self.view,
            uptime_us,
        };
        let written = match self.file {
            DlmFile::Human => human::write(&seen, to),
            DlmFile::Locks => rows::write_locks(&seen, to),
            DlmFile::All => rows::write_all(&seen, to),
            DlmFile::Waiters => rows::write_waiters(&seen, to),
        };
        written.expect("writing to a string");
    }
}

/// A resource, and how it is seen.
struct Seen<'a> {
    resource: &'a Resource,
    number: u64,
    view: View,
    uptime_us: u64,
}

impl View {
    fn sees(self, resource: &Resource) -> bool {
        match self {
            Self::Cluster => true,
            Self::Session(session) => {
                let mut locks = resource.locks.iter();
                locks.any(|lock| lock.session == session)
            }
        }
    }

    /// The lock's node: 0 is here.
    fn node(self, lock: &Lock) -> u64 {
        match self {
            Self::Session(session) if session == lock.session => 0,
            _ => lock.session,
        }
    }

    /// DLM_MSG_*: what the lock's session waits to have answered, and waits for in vain so far; 0 where it
    /// waits for nothing.
    fn wait_type(self, lock: &Lock) -> u8 {
        match (self, lock.queue) {
            (Self::Session(_), _) | (_, Queue::Granted) => 0,
            (Self::Cluster, Queue::Waiting) => 1,
            (Self::Cluster, Queue::Converting) => 2,
        }
    }

    /// Its number on its own node; 0 where that is here.
    fn remote(self, lock: &Lock) -> u64 {
        match self.node(lock) {
            0 => 0,
            _ => lock.lock,
        }
    }
}

fn id(lock: &Lock) -> u64 {
    lock.session << 32 | lock.lock & 0xffff_ffff
}

/// DLM_LOCK_*: -1 where there is none.
fn number(mode: Option<Mode>) -> i32 {
    mode.map_or(-1, |mode| mode as i32)
}

/// DLM_LKSTS_*.
const fn status(queue: Queue) -> u8 {
    match queue {
        Queue::Waiting => 1,
        Queue::Granted => 2,
        Queue::Converting => 3,
    }
}

const fn is_printable(byte: u8) -> bool {
    byte >= 0x20 && byte < 0x7f
}

fn dotted(name: &ResourceName) -> String {
    let bytes = name.as_bytes().iter();
    bytes
        .map(|&byte| {
            if is_printable(byte) {
                byte as char
            } else {
                '.'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
