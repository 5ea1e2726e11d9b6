//! What a process calls itself when it has to begin again.

/// A stream of numbers that was begun with one drawn at random: the numbers are as good as that one.
#[derive(Debug)]
pub(super) struct Nonces {
    nonce: u128,
    seed: u64,
}

impl Nonces {
    pub(super) const fn new(nonce: u128, seed: u64) -> Self {
        Self { nonce, seed }
    }

    /// Another one. Those of one process differ, since each is the one before and an odd number more.
    pub(super) const fn next(&mut self) -> u128 {
        let step = ((self.seed as u128) << 64) | 1;
        self.nonce = self.nonce.wrapping_add(step);
        self.nonce
    }
}
