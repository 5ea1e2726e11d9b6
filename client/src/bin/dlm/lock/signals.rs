//! The signals that `dlm lock` gets, for the command.

use std::fs;
use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What is passed on to the command, and what says something about the terminal.
const LISTENED: [Signal; 8] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::TSTP,
    Signal::CONT,
];

/// The signals of this process, from when this was made.
pub(super) struct Signals {
    arrived: mpsc::Receiver<Signal>,
}

impl Signals {
    /// Takes over all that are not ignored. One that is (SIGHUP under nohup, SIGINT in a shell's
    /// background) is ignored for the command, too.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn listen() -> io::Result<Self> {
        let (sender, arrived) = mpsc::channel(LISTENED.len());
        let ignored = ignored(&fs::read_to_string("/proc/self/status")?);
        for each in LISTENED {
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
    pub(super) async fn next(&mut self) -> Signal {
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
