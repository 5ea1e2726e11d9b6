//! A watchdog: a test that hangs shows who waits for whom before it fails.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::cluster::graph_text;

/// Ends the test's process when it is not dropped in time.
#[derive(Debug)]
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    /// From now on, `limit` is left. `what` is what the test does, with the seed where it has one.
    #[must_use]
    pub fn start(endpoint: &str, what: impl Into<String>, limit: Duration) -> Self {
        let (alive, gone) = channel();
        let (endpoint, what) = (endpoint.to_owned(), what.into());
        std::thread::spawn(move || watch(&gone, &endpoint, &what, limit));
        Self { _alive: alive }
    }
}

fn watch(gone: &Receiver<()>, endpoint: &str, what: &str, limit: Duration) {
    if gone.recv_timeout(limit) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let graph = graph_text(endpoint);
    let mut stderr = std::io::stderr();
    let _ = writeln!(
        stderr,
        "\n*** {what}: not done after {limit:?}. The lock graph:\n{graph}"
    );
    std::process::exit(101);
}
