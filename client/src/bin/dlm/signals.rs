//! The signals that this process gets.

use std::fs;
use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// The signals of this process, from when this was made.
pub(crate) struct Signals {
    arrived: mpsc::Receiver<Signal>,
}

impl Signals {
    /// Takes over those of them that are not ignored. One that is (SIGHUP under nohup, SIGINT in a shell's
    /// background) stays ignored.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn listen(to: &[Signal]) -> io::Result<Self> {
        let (sender, arrived) = mpsc::channel(to.len().max(1));
        let ignored = ignored(&fs::read_to_string("/proc/self/status")?);
        for &each in to {
            if ignored >> (each.as_raw() - 1) & 1 == 1 {
                continue;
            }
            let mut stream = signal(SignalKind::from_raw(each.as_raw()))?;
            let sender = sender.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() && sender.send(each).await.is_ok() {}
            });
        }
        Ok(Self { arrived })
    }

    /// Waits for one.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.arrived.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// The set of signals that a process ignores, the first in the lowest bit. Says "none" of a kernel that
/// does not tell.
fn ignored(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let status = "Name:\tdlm\nSigIgn:\t0000000000001003\nSigCgt:\t0000000000000004\n";
        assert_eq!(ignored(status), 0x1003);
        assert_eq!(ignored("Name:\tdlm\n"), 0);
    }
}
