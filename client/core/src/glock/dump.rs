//! What a dump shows of a glock, and gfs2's way to write it, as its tools read it from debugfs.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

use bitflags::bitflags;
use dlm_core::{Owner, Tick};

use super::flags::HolderFlags;
use super::transition::{Phase, Why};
use super::{Glock, GlockName, State};

bitflags! {
    /// What a glock is busy with, as a dump shows it: gfs2's letters, in the order in which it prints
    /// them. The numbers are ours, and travel.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct GlockFlags: u32 {
        /// `l`: a transition, or the instantiation, is under way.
        const LOCKED = 1;
        /// `D`: a demotion is wanted, and due.
        const DEMOTE = 1 << 1;
        /// `d`: a demotion is wanted, and not due before the minimum hold time is over.
        const PENDING_DEMOTE = 1 << 2;
        /// `p`: a demotion is in progress.
        const DEMOTING = 1 << 3;
        /// `f`: what is dirty is being written back.
        const SYNCING = 1 << 4;
        /// `i`: what is cached is being dropped.
        const INVALIDATING = 1 << 5;
        /// `c`: a message is under way that a cancel would end.
        const MAY_CANCEL = 1 << 6;
        /// `q`: somebody holds or waits.
        const QUEUED = 1 << 7;
        /// `o`: it has an object that shows itself in the dump.
        const OBJECT = 1 << 8;
        /// `b`: a request is under way that may wait for others.
        const BLOCKING = 1 << 9;
        /// `n`: the object is to be read in before it is used.
        const INSTANTIATE_NEEDED = 1 << 10;
        /// `N`: the object is being read in.
        const INSTANTIATING = 1 << 11;
        /// `C`: a cancel is under way.
        const CANCELLING = 1 << 12;
    }
}

const GLOCK_LETTERS: [(GlockFlags, char); 13] = [
    (GlockFlags::LOCKED, 'l'),
    (GlockFlags::DEMOTE, 'D'),
    (GlockFlags::PENDING_DEMOTE, 'd'),
    (GlockFlags::DEMOTING, 'p'),
    (GlockFlags::SYNCING, 'f'),
    (GlockFlags::INVALIDATING, 'i'),
    (GlockFlags::MAY_CANCEL, 'c'),
    (GlockFlags::QUEUED, 'q'),
    (GlockFlags::OBJECT, 'o'),
    (GlockFlags::BLOCKING, 'b'),
    (GlockFlags::INSTANTIATE_NEEDED, 'n'),
    (GlockFlags::INSTANTIATING, 'N'),
    (GlockFlags::CANCELLING, 'C'),
];

const HOLDER_LETTERS: [(HolderFlags, char); 5] = [
    (HolderFlags::TRY, 't'),
    (HolderFlags::TRY_1CB, 'T'),
    (HolderFlags::ANY, 'A'),
    (HolderFlags::EXACT, 'E'),
    (HolderFlags::NOCACHE, 'c'),
];

impl GlockFlags {
    /// gfs2's letters.
    #[must_use]
    pub fn letters(self) -> String {
        let set = GLOCK_LETTERS
            .iter()
            .filter(|(flag, _)| self.contains(*flag));
        set.map(|&(_, letter)| letter).collect()
    }
}

/// A glock at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlockDump {
    /// What it protects.
    pub name: GlockName,
    /// The cached state.
    pub state: State,
    /// What it is busy with.
    pub flags: GlockFlags,
    /// The state that the transition under way leads to; the cached one where none is.
    pub target: State,
    /// The state that it is to be demoted to, if it is.
    pub demanded: Option<State>,
    /// Since when that is wanted, in microseconds.
    pub demanded_us: u64,
    /// Holders, and the lock itself.
    pub references: u32,
    /// The minimum hold time, in milliseconds.
    pub hold_ms: u32,
    /// Holders, the granted ones first, then the queue in its order.
    pub holders: Vec<HolderDump>,
}

/// A holder at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolderDump {
    /// The state it has or needs.
    pub state: State,
    /// How it asked.
    pub flags: HolderFlags,
    /// Whether it holds; otherwise it waits.
    pub granted: bool,
    /// Its task.
    pub owner: Owner,
    /// How long it has held or waited, in microseconds.
    pub age_us: u64,
}

impl GlockDump {
    /// Appends the `G:` line and an ` H:` line for each holder. `task` gives a task's name.
    ///
    /// gfs2 counts the hold time in jiffies; here one is a millisecond. Journal and page counts are the
    /// object's, not the glock's, and stand as 0. Where gfs2 has a process's number the task's stands.
    ///
    /// # Errors
    /// Whatever `to` says; a `String` says nothing.
    pub fn write<'a>(
        &self,
        task: impl Fn(Owner) -> Option<&'a str>,
        to: &mut impl Write,
    ) -> fmt::Result {
        let (state, name, target) = (self.state, self.name, self.target);
        let flags = self.flags.letters();
        // gfs2's way to say that nothing is demanded is EX.
        let demanded = self.demanded.unwrap_or(State::Ex);
        let (demanded_us, references, hold) = (self.demanded_us, self.references, self.hold_ms);
        writeln!(
            to,
            "G:  s:{state} n:{name} f:{flags} t:{target} d:{demanded}/{demanded_us} a:0 v:0 \
             r:{references} m:{hold} p:0"
        )?;
        for holder in &self.holders {
            let (state, owner) = (holder.state, holder.owner.0);
            let (letters, name) = (holder.letters(), task(holder.owner).unwrap_or("(none)"));
            writeln!(to, " H: s:{state} f:{letters} e:0 p:{owner} [{name}]")?;
        }
        Ok(())
    }
}

impl HolderDump {
    /// gfs2's letters, in the order in which it prints them.
    #[must_use]
    pub fn letters(&self) -> String {
        let has = |flag| self.flags.contains(flag);
        let asked = HOLDER_LETTERS.iter().filter(|(flag, _)| has(*flag));
        let mut letters: String = asked.map(|&(_, letter)| letter).collect();
        letters.push(if self.granted { 'H' } else { 'W' });
        if has(HolderFlags::SKIP) {
            letters.push('s');
        }
        letters
    }
}

impl Glock {
    /// What a dump shows of it now. Whether it has an object, whoever has the objects knows.
    #[must_use]
    pub fn dump(&self, now: Tick) -> GlockDump {
        let target = match self.phase {
            Phase::Syncing(change) | Phase::Invalidating(change) => change.to,
            Phase::Asking(asking) => asking.change.to,
            Phase::Idle | Phase::Instantiating { .. } | Phase::Lost(_) => self.state,
        };
        let holders = self.holders().map(|holder| HolderDump {
            state: holder.state,
            flags: holder.flags,
            granted: holder.granted,
            owner: holder.owner,
            age_us: now.since(holder.since),
        });
        let references = self.queue.holders.len() + usize::from(self.linked);
        GlockDump {
            name: self.name,
            state: self.state,
            flags: self.flags(now),
            target,
            demanded: self.demand.map(|demand| demand.to),
            demanded_us: self.demand.map_or(0, |demand| now.since(demand.since)),
            references: u32::try_from(references).unwrap_or(u32::MAX),
            hold_ms: u32::try_from(self.hold.now / 1000).unwrap_or(u32::MAX),
            holders: holders.collect(),
        }
    }

    fn flags(&self, now: Tick) -> GlockFlags {
        let due = self.demand.is_some_and(|demand| demand.is_due(now));
        let asking = match self.phase {
            Phase::Asking(asking) => Some(asking),
            _ => None,
        };
        let why = match self.phase {
            Phase::Syncing(change) | Phase::Invalidating(change) => Some(change.why),
            _ => asking.map(|asking| asking.change.why),
        };
        let may_wait = asking.is_some_and(|asking| asking.may_wait);
        let busy = !matches!(self.phase, Phase::Idle | Phase::Lost(_));
        let pending = self.demand.is_some() && !due;
        let demoting = matches!(why, Some(Why::Demote | Why::Retry));
        let instantiating = matches!(self.phase, Phase::Instantiating { .. });
        [
            (GlockFlags::LOCKED, busy),
            (GlockFlags::DEMOTE, due),
            (GlockFlags::PENDING_DEMOTE, pending),
            (GlockFlags::DEMOTING, demoting),
            (GlockFlags::SYNCING, matches!(self.phase, Phase::Syncing(_))),
            (
                GlockFlags::INVALIDATING,
                matches!(self.phase, Phase::Invalidating(_)),
            ),
            (GlockFlags::MAY_CANCEL, may_wait),
            (GlockFlags::QUEUED, !self.queue.holders.is_empty()),
            (GlockFlags::BLOCKING, may_wait),
            (GlockFlags::INSTANTIATE_NEEDED, !self.instantiated),
            (GlockFlags::INSTANTIATING, instantiating),
            (
                GlockFlags::CANCELLING,
                asking.is_some_and(|asking| asking.cancelled),
            ),
        ]
        .into_iter()
        .filter_map(|(flag, set)| set.then_some(flag))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::{HoldTime, HolderId, Input};
    use super::*;

    #[test]
    fn a_waiting_writer_as_gfs2_prints_it() {
        let mut glock = Glock::new(GlockName::inode(0x102ab), HoldTime::GFS2);
        let enqueue = Input::Enqueue {
            holder: HolderId(1),
            state: State::Ex,
            flags: HolderFlags::NOCACHE,
            owner: Owner(7),
        };
        glock.step(Tick(5), enqueue, &mut Vec::new());
        let task = |owner| (owner == Owner(7)).then_some("writer");
        let mut text = String::new();
        glock.dump(Tick(9)).write(task, &mut text).unwrap();
        assert_eq!(
            text,
            "G:  s:UN n:2/102ab f:lcqbn t:EX d:EX/0 a:0 v:0 r:1 m:200 p:0\n H: s:EX f:cW e:0 p:7 [writer]\n"
        );
        // glocktop's fixed columns: the state starts at column 6 of the line.
        assert_eq!(&text[6..8], "UN");
    }

    #[test]
    fn every_flag_has_its_letter_in_gfs2s_order() {
        assert_eq!(GlockFlags::all().letters(), "lDdpficqobnNC");
        let mut holder = HolderDump {
            state: State::Sh,
            flags: HolderFlags::all(),
            granted: true,
            owner: Owner(0),
            age_us: 0,
        };
        assert_eq!(holder.letters(), "tTAEcHs");
        (holder.flags, holder.granted) = (HolderFlags::empty(), false);
        assert_eq!(holder.letters(), "W");
        // glocktop takes the first p of a holder's line for the process's number.
        assert!(!HOLDER_LETTERS.iter().any(|&(_, letter)| letter == 'p'));
    }
}
