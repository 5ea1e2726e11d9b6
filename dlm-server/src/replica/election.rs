//! When to stand for election: the only random thing in Raft, from a stream of our own.
//!
//! `raft` draws a new timeout from the thread's generator whenever its term or role changes, and so no
//! run could be replayed. After everything that is done to it we put our own in its place. A timeout of
//! ours lasts until the role or the term changes, or until it has run out; so it does not matter whether
//! and when `raft` has drawn one for itself.

use raft::{Raft, StateRole};

use super::Config;
use super::log_view::LogView;

pub(super) struct Election {
    /// The state of the stream (SplitMix64, Steele, Lea and Flood 2014).
    stream: u64,
    least: usize,
    timeout: usize,
    seen: Option<(StateRole, u64)>,
}

impl Election {
    pub(super) fn new(seed: u64, config: Config) -> Self {
        Self {
            stream: seed,
            least: config.election_ticks,
            timeout: config.election_ticks,
            seen: None,
        }
    }

    /// A timeout that runs out with the next tick is followed by another one.
    pub(super) fn before_tick(&mut self, raft: &Raft<LogView>) {
        if raft.state != StateRole::Leader && raft.election_elapsed + 1 >= self.timeout {
            self.seen = None;
        }
    }

    /// Puts our timeout in the place of `raft`'s.
    pub(super) fn settle(&mut self, raft: &mut Raft<LogView>) {
        let seen = Some((raft.state, raft.term));
        if self.seen != seen {
            self.seen = seen;
            self.timeout = self.least + (self.draw() % self.least as u64) as usize;
        }
        raft.set_randomized_election_timeout(self.timeout);
    }

    fn draw(&mut self) -> u64 {
        self.stream = self.stream.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.stream;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
