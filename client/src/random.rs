//! Randomness, from the kernel: who a session is, and how its pauses are spread.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// What a session draws when it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drawn {
    /// Who knows it speaks for the session.
    pub(crate) nonce: u128,
    /// Spreads the pauses of many clients.
    pub(crate) seed: u64,
}

/// # Errors
/// A kernel without randomness.
pub(crate) fn draw() -> io::Result<Drawn> {
    let mut nonce = [0; 16];
    let mut seed = [0; 8];
    fill(&mut nonce)?;
    fill(&mut seed)?;
    Ok(Drawn {
        nonce: u128::from_le_bytes(nonce),
        seed: u64::from_le_bytes(seed),
    })
}

fn fill(bytes: &mut [u8]) -> io::Result<()> {
    loop {
        match getrandom(&mut *bytes, GetRandomFlags::empty()) {
            // So few come whole.
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_sessions_are_one() {
        let (one, other) = (draw().unwrap(), draw().unwrap());
        assert!(one.nonce != other.nonce && one.nonce != 0);
        assert_ne!(one.seed, other.seed);
    }
}
