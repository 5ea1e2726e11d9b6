//! Dumps in gfs2's format, as its tools read it from debugfs.

use alloc::string::String;
use core::fmt::{self, Write};

use dlm_core::{Owner, Tick};

use super::flags::HolderFlags;
use super::holder::Holder;
use super::transition::{Phase, Why};
use super::{Glock, State};

impl Glock {
    /// Appends the `G:` line and an ` H:` line for each holder. `task` gives a task's name.
    ///
    /// gfs2 counts the hold time in jiffies; here one is a millisecond. Journal and page counts are the
    /// object's, not the glock's, and stand as 0.
    ///
    /// # Errors
    /// Whatever `to` says; a `String` says nothing.
    pub fn dump<'a>(
        &self,
        now: Tick,
        task: impl Fn(Owner) -> Option<&'a str>,
        to: &mut impl Write,
    ) -> fmt::Result {
        let target = match self.phase {
            Phase::Syncing(change) | Phase::Invalidating(change) => change.to,
            Phase::Asking(asking) => asking.change.to,
            Phase::Idle | Phase::Instantiating { .. } | Phase::Lost(_) => self.state,
        };
        // gfs2's way to say that nothing is demanded is EX.
        let demanded = self.demand.map_or(State::Ex, |demand| demand.to);
        let demanded_us = self.demand.map_or(0, |demand| now.since(demand.since));
        writeln!(
            to,
            "G:  s:{} n:{} f:{} t:{target} d:{demanded}/{demanded_us} a:0 v:0 r:{} m:{} p:0",
            self.state,
            self.name,
            self.flag_letters(now),
            self.queue.holders.len() + usize::from(self.linked),
            self.hold.now / 1000,
        )?;
        for holder in self.holders() {
            let name = task(holder.owner).unwrap_or("(none)");
            let letters = holder_letters(holder);
            let owner = holder.owner.0;
            writeln!(
                to,
                " H: s:{} f:{letters} e:0 p:{owner} [{name}]",
                holder.state
            )?;
        }
        Ok(())
    }

    /// gfs2's letters, in the order in which it prints them.
    fn flag_letters(&self, now: Tick) -> String {
        let due = self.demand.is_some_and(|demand| demand.is_due(now));
        let why = match self.phase {
            Phase::Syncing(change) | Phase::Invalidating(change) => Some(change.why),
            Phase::Asking(asking) => Some(asking.change.why),
            _ => None,
        };
        let busy = !matches!(self.phase, Phase::Idle | Phase::Lost(_));
        [
            ('l', busy),
            ('D', due),
            ('d', self.demand.is_some() && !due),
            ('p', matches!(why, Some(Why::Demote | Why::Retry))),
            ('f', matches!(self.phase, Phase::Syncing(_))),
            ('i', matches!(self.phase, Phase::Invalidating(_))),
            (
                'c',
                matches!(self.phase, Phase::Asking(asking) if asking.may_wait),
            ),
            ('q', !self.queue.holders.is_empty()),
            (
                'b',
                matches!(self.phase, Phase::Asking(asking) if asking.may_wait),
            ),
            ('n', !self.instantiated),
            ('N', matches!(self.phase, Phase::Instantiating { .. })),
            (
                'C',
                matches!(self.phase, Phase::Asking(asking) if asking.cancelled),
            ),
        ]
        .into_iter()
        .filter_map(|(letter, set)| set.then_some(letter))
        .collect()
    }
}

fn holder_letters(holder: &Holder) -> String {
    let has = |flag| holder.flags.contains(flag);
    [
        ('t', has(HolderFlags::TRY)),
        ('T', has(HolderFlags::TRY_1CB)),
        ('A', has(HolderFlags::ANY)),
        ('E', has(HolderFlags::EXACT)),
        ('c', has(HolderFlags::NOCACHE)),
        ('H', holder.granted),
        ('W', !holder.granted),
        ('s', has(HolderFlags::SKIP)),
    ]
    .into_iter()
    .filter_map(|(letter, set)| set.then_some(letter))
    .collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::super::{HoldTime, HolderId, Input};
    use super::*;
    use crate::GlockName;

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
        let mut text = String::new();
        glock
            .dump(
                Tick(9),
                |owner| (owner == Owner(7)).then_some("writer"),
                &mut text,
            )
            .unwrap();
        assert_eq!(
            text,
            "G:  s:UN n:2/102ab f:lcqbn t:EX d:EX/0 a:0 v:0 r:1 m:200 p:0\n H: s:EX f:cW e:0 p:7 [writer]\n"
        );
        // glocktop's fixed columns: the state starts at column 6 of the line.
        assert_eq!(&text[6..8], "UN");
    }
}
