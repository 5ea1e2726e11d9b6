//! The thread that writes: a write waits for the disk, and the loop does not.
//!
//! What was given while the disk was busy is written together and waited for once. Otherwise a burst of
//! entries would hold everything up that waits behind it, leases too, for as many times as the disk takes.

use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::mpsc;

use crate::storage::{Storage, StorageError, Write};

/// The most writes that are waited for together.
const TOGETHER_MAX: usize = 256;

/// The disk of one server. Writes are done in the order in which they were given.
#[derive(Debug)]
pub(super) struct Disk {
    writes: blocking::Sender<Write>,
    done: mpsc::UnboundedReceiver<Result<u64, StorageError>>,
}

impl Disk {
    /// Takes over a storage. It is closed when this is dropped and what was given is written.
    pub(super) fn new(mut storage: Box<dyn Storage + Send>) -> std::io::Result<Self> {
        let (writes, queue) = blocking::channel::<Write>();
        let (acknowledge, done) = mpsc::unbounded_channel();
        thread::Builder::new().name("disk".into()).spawn(move || {
            // Neither queue has a limit of its own: the replica has one for what it proposes and has
            // not committed, and sends nothing that is not on the disk.
            while let Ok(first) = queue.recv() {
                let rest = queue.try_iter().take(TOGETHER_MAX - 1);
                let mut writes: Vec<Write> = std::iter::once(first).chain(rest).collect();
                wait_once(&mut writes);
                for write in &writes {
                    if let Err(error) = storage.write(write) {
                        // Where nobody reads it the loop has ended.
                        let _ = acknowledge.send(Err(error));
                        return;
                    }
                }
                // The last one waited for all of them.
                for write in writes {
                    if acknowledge.send(Ok(write.number)).is_err() {
                        return;
                    }
                }
            }
        })?;
        Ok(Self { writes, done })
    }

    /// Gives a write to the thread.
    pub(super) fn write(&self, write: Write) {
        // After an error nobody reads: the error is on its way to us.
        let _ = self.writes.send(write);
    }

    /// The number of the next write that is done.
    pub(super) async fn done(&mut self) -> Result<u64, StorageError> {
        match self.done.recv().await {
            Some(done) => done,
            // It ends after an error only, which was said before.
            None => std::future::pending().await,
        }
    }
}

/// Writes that are acknowledged together are waited for with the last one: what is safe then, is so with all
/// that was written before it.
fn wait_once(writes: &mut [Write]) {
    let wait = writes.iter().any(|write| write.sync);
    if let Some((last, before)) = writes.split_last_mut() {
        before.iter_mut().for_each(|write| write.sync = false);
        last.sync = wait;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;

    /// Takes its time, and remembers which writes it was to wait for.
    struct Slow(Arc<Mutex<Vec<(u64, bool)>>>);

    impl Storage for Slow {
        fn write(&mut self, write: &Write) -> Result<(), StorageError> {
            thread::sleep(Duration::from_millis(20));
            let mut seen = self.0.lock().expect("nobody panicked");
            seen.push((write.number, write.sync));
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_was_given_meanwhile_is_waited_for_once_and_acknowledged_in_order() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut disk = Disk::new(Box::new(Slow(Arc::clone(&seen)))).expect("a thread");
        for number in 1..=20 {
            disk.write(Write {
                number,
                // The last ones need not be waited for.
                sync: number < 18,
                ..Write::default()
            });
        }
        for number in 1..=20 {
            assert_eq!(disk.done().await.expect("it is written"), number);
        }
        let seen = seen.lock().expect("nobody panicked").clone();
        let order: Vec<u64> = seen.iter().map(|(number, _)| *number).collect();
        assert_eq!(order, (1..=20).collect::<Vec<_>>());
        // Whatever the first write was, the rest came while it was being written.
        let waited: Vec<u64> = seen
            .iter()
            .filter(|(_, sync)| *sync)
            .map(|(number, _)| *number)
            .collect();
        assert!(waited.len() <= 3, "{waited:?}");
        assert_eq!(waited.last(), Some(&20), "{waited:?}");
    }
}
