//! A file that tells what holders of locks did, in an order that nobody disputes.
//!
//! Whoever holds a lock appends lines to it, each with one write to a file opened for appending, so that the
//! lines of all processes stand in the order in which they were written:
//!
//! ```text
//! grant 17 node1 nightly EX      it was granted the lock, under this token
//! write 17 node1 nightly         it relies on it
//! release 17 node1 nightly       it is about to give it back
//! lost 17 node1 nightly          it was told that the lock is lost
//! died - node1 -                 written by the test: its process is gone
//! ```
//!
//! A shell under `dlm lock` can write them: `echo "grant $GLOCKWORK_TOKEN me $GLOCKWORK_LOCK $GLOCKWORK_MODE"`.
//!
//! A process that is stopped cannot say when. So a lock that its holder loses, or whose holder dies, counts as
//! held up to the last thing that was done under it; whoever does something later is found out.
//!
//! Between looking whether a lock is lost and writing there is a moment in which a process can be stopped, and
//! then it writes late: that is what SEMANTICS.md says of operations in flight, and no fault of the locks. Who
//! does both in [`Witness::moment`] is not stopped there by a test that stops processes in [`Witness::still`].

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use dlm_core::{LockId, LockspaceId, Mode, RequestFlags, ResourceName, Status, Tick, Token};
use rustix::fs::{FlockOperation, flock};

use crate::checkers::{
    ClientId, End, Fact, History, Lock, Resource, Ticket, Violation, Want, exclusion, tokens,
};
use crate::sim::ProcessId;

/// A file of what holders did.
#[derive(Clone, Debug)]
pub struct Witness(PathBuf);

/// What a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Grant(Mode),
    Write,
    Release,
    Lost,
}

impl Witness {
    /// The file at `path`, which need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A lock was granted.
    ///
    /// # Errors
    /// What the system says; of all that writes.
    pub fn grant(&self, token: Token, client: &str, lock: &str, mode: Mode) -> io::Result<()> {
        let mode = mode.name();
        self.append(&format!("grant {} {client} {lock} {mode}\n", token.0))
    }

    /// Something is done that relies on the lock.
    ///
    /// # Errors
    /// See [`grant`](Self::grant).
    pub fn write(&self, token: Token, client: &str, lock: &str) -> io::Result<()> {
        self.append(&format!("write {} {client} {lock}\n", token.0))
    }

    /// The lock is about to be given back.
    ///
    /// # Errors
    /// See [`grant`](Self::grant).
    pub fn release(&self, token: Token, client: &str, lock: &str) -> io::Result<()> {
        self.append(&format!("release {} {client} {lock}\n", token.0))
    }

    /// The holder was told that the lock is lost.
    ///
    /// # Errors
    /// See [`grant`](Self::grant).
    pub fn lost(&self, token: Token, client: &str, lock: &str) -> io::Result<()> {
        self.append(&format!("lost {} {client} {lock}\n", token.0))
    }

    /// A holder's process is gone.
    ///
    /// # Errors
    /// See [`grant`](Self::grant).
    pub fn died(&self, client: &str) -> io::Result<()> {
        self.append(&format!("died - {client} -\n"))
    }

    /// Runs `act` in one piece, as far as [`still`](Self::still) goes. Several may be in theirs at once.
    ///
    /// # Errors
    /// What the system says.
    pub fn moment<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        self.locked(FlockOperation::LockShared, act)
    }

    /// Runs `act` while nobody is in a [`moment`](Self::moment).
    ///
    /// # Errors
    /// What the system says.
    pub fn still<T>(&self, act: impl FnOnce() -> T) -> io::Result<T> {
        self.locked(FlockOperation::LockExclusive, act)
    }

    fn locked<T>(&self, how: FlockOperation, act: impl FnOnce() -> T) -> io::Result<T> {
        let file = self.open()?;
        flock(&file, how)?;
        let done = act();
        flock(&file, FlockOperation::Unlock)?;
        Ok(done)
    }

    /// What is in it so far.
    #[must_use]
    pub fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap_or_default()
    }

    fn open(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(&self.0)
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let mut file = self.open()?;
        // One write, so that nothing stands in the midst of a line.
        file.write_all(line.as_bytes())
    }

    /// Judges what is in it: no two held what excludes each other, and every token is larger than those that it
    /// excludes. Says how many grants there were, since a run without any shows nothing.
    ///
    /// # Errors
    /// The first violation; what is no line is one.
    ///
    /// # Panics
    /// If the file cannot be read.
    pub fn judge(&self) -> Result<usize, Violation> {
        let text = fs::read_to_string(&self.0).expect("the witness's file");
        judge(&text)
    }
}

/// One grant, and the lines that belong to it.
struct Hold<'a> {
    client: &'a str,
    lock: &'a str,
    token: u64,
    mode: Mode,
    from: usize,
    /// The last line that relies on it.
    last: usize,
    /// Whether its holder gave it back or lost it, or is gone; it holds until the end otherwise.
    over: bool,
}

fn judge(text: &str) -> Result<usize, Violation> {
    let holds = holds(text)?;
    let end = text.lines().count();
    // By line: what ends comes before what begins there, and a line ends what it says itself.
    let mut facts: Vec<(usize, bool, usize)> = Vec::new();
    for (at, hold) in holds.iter().enumerate() {
        facts.push((hold.from, false, at));
        facts.push((if hold.over { hold.last } else { end }, true, at));
    }
    facts.sort_unstable_by_key(|&(line, ends, at)| (line, ends, at));
    let mut history = History::default();
    for (line, ends, at) in facts {
        let hold = &holds[at];
        let lock = Lock {
            client: ClientId(at as u64),
            lock: LockId(1),
        };
        let by = ProcessId(0);
        let (tick, ticket) = (Tick(line as u64), Ticket(0));
        let asks = |want, ticket| Fact::Asked {
            lock,
            ticket,
            want,
            flags: RequestFlags::empty(),
            value: None,
        };
        if ends {
            history.push(tick, by, asks(Want::Unlock, Ticket(1)));
            continue;
        }
        let resource = Resource {
            lockspace: LockspaceId(0),
            name: ResourceName::new(hold.lock.as_bytes()).map_err(|_| garbled(line, text))?,
        };
        let mode = hold.mode;
        history.push(tick, by, asks(Want::Request { resource, mode }, ticket));
        let end = End {
            status: Status::Granted,
            mode: Some(mode),
            token: Token(hold.token),
            value: None,
        };
        history.push(tick, by, Fact::Ended { lock, ticket, end });
    }
    let named = |mut violation: Violation| {
        let line = violation.at.0 as usize;
        let said = text.lines().nth(line).unwrap_or("the end");
        violation.text = format!("{} (line {}: {said})", violation.text, line + 1);
        violation
    };
    exclusion::check(&history).map_err(named)?;
    tokens::check(&history).map_err(named)?;
    Ok(holds.len())
}

fn holds(text: &str) -> Result<Vec<Hold<'_>>, Violation> {
    let mut holds: Vec<Hold<'_>> = Vec::new();
    let mut of: BTreeMap<(&str, &str, u64), usize> = BTreeMap::new();
    for (at, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split(' ').collect();
        if let ["died", "-", client, "-"] = words[..] {
            let theirs = holds.iter_mut().filter(|hold| hold.client == client);
            theirs.for_each(|hold| hold.over = true);
            continue;
        }
        let (deed, token, client, lock) = parse(&words).ok_or_else(|| garbled(at, text))?;
        let key = (client, lock, token);
        if let Deed::Grant(mode) = deed {
            of.insert(key, holds.len());
            holds.push(Hold {
                client,
                lock,
                token,
                mode,
                from: at,
                last: at,
                over: false,
            });
            continue;
        }
        let hold = of.get(&key).map(|&at| &mut holds[at]);
        let hold = hold.ok_or_else(|| garbled(at, text))?;
        if deed != Deed::Lost {
            if hold.over {
                return Err(violation(
                    at,
                    format!("{line}: it had given it back, or lost it"),
                ));
            }
            hold.last = at;
        }
        hold.over |= deed != Deed::Write;
    }
    Ok(holds)
}

fn parse<'a>(words: &[&'a str]) -> Option<(Deed, u64, &'a str, &'a str)> {
    let (deed, token, client, lock) = match *words {
        ["grant", token, client, lock, mode] => {
            let mode = Mode::ALL.into_iter().find(|one| one.name() == mode)?;
            (Deed::Grant(mode), token, client, lock)
        }
        ["write", token, client, lock] => (Deed::Write, token, client, lock),
        ["release", token, client, lock] => (Deed::Release, token, client, lock),
        ["lost", token, client, lock] => (Deed::Lost, token, client, lock),
        _ => return None,
    };
    Some((deed, token.parse().ok()?, client, lock))
}

fn garbled(at: usize, text: &str) -> Violation {
    let line = text.lines().nth(at).unwrap_or_default();
    violation(at, format!("line {} means nothing: {line:?}", at + 1))
}

fn violation(at: usize, text: String) -> Violation {
    Violation {
        property: "witness",
        at: Tick(at as u64),
        resource: None,
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> Violation {
        judge(text).expect_err(text)
    }

    #[test]
    fn holders_one_after_the_other_are_good() {
        let text = "grant 1 a x EX\nwrite 1 a x\ngrant 1 b y EX\nrelease 1 a x\ngrant 2 b x PR\n\
                    grant 2 c x PR\nrelease 2 b x\nrelease 2 c x\nrelease 1 b y\n";
        assert_eq!(judge(text), Ok(4));
    }

    #[test]
    fn two_at_a_time_are_found() {
        let text = "grant 1 a x EX\ngrant 2 b x EX\nrelease 1 a x\nrelease 2 b x\n";
        let found = refused(text);
        assert_eq!(found.property, "exclusion");
        assert!(found.text.contains("line 2: grant 2 b x EX"), "{found}");
        // One that never says that it ended holds until the end.
        assert_eq!(
            refused("grant 1 a x EX\ngrant 2 b x PR\n").property,
            "exclusion"
        );
    }

    #[test]
    fn a_token_that_does_not_grow_is_found() {
        let text = "grant 2 a x EX\nrelease 2 a x\ngrant 1 b x EX\nrelease 1 b x\n";
        assert_eq!(refused(text).property, "tokens");
    }

    #[test]
    fn whoever_lost_its_lock_or_died_held_it_up_to_its_last_deed() {
        for end in ["lost 1 a x", "died - a -"] {
            let text =
                format!("grant 1 a x EX\nwrite 1 a x\ngrant 2 b x EX\n{end}\nrelease 2 b x\n");
            assert_eq!(judge(&text), Ok(2));
            let late =
                format!("grant 1 a x EX\ngrant 2 b x EX\nwrite 1 a x\n{end}\nrelease 2 b x\n");
            assert_eq!(refused(&late).property, "exclusion");
            let after = format!("grant 1 a x EX\n{end}\nwrite 1 a x\n");
            assert_eq!(refused(&after).property, "witness");
        }
    }

    #[test]
    fn what_means_nothing_is_found() {
        for text in [
            "grant 1 a x",
            "grant one a x EX",
            "grant 1 a x XX",
            "write 1 a x",
            "\n",
            "grant 1 a x EX\nwrite 2 a x",
        ] {
            assert_eq!(refused(text).property, "witness", "{text}");
        }
    }

    #[test]
    fn what_is_written_is_what_is_judged() {
        let dir = tempfile::tempdir().unwrap();
        let witness = Witness::new(dir.path().join("witness"));
        witness.grant(Token(1), "a", "x", Mode::Pw).unwrap();
        witness.write(Token(1), "a", "x").unwrap();
        witness.lost(Token(1), "a", "x").unwrap();
        witness.grant(Token(2), "b", "x", Mode::Ex).unwrap();
        witness.release(Token(2), "b", "x").unwrap();
        witness.grant(Token(3), "c", "x", Mode::Ex).unwrap();
        witness.died("c").unwrap();
        assert_eq!(witness.judge(), Ok(3));
    }
}
