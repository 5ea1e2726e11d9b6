//! The thread that writes: a write waits for the disk, and the loop does not.

use std::sync::mpsc as blocking;
use std::thread;

use tokio::sync::mpsc;

use crate::storage::{Storage, StorageError, Write};

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
        thread::Builder::new()
            .name("disk".into())
            .spawn(move || {
                // Neither queue has a limit of its own: the replica has one for what it proposes and has
                // not committed, and sends nothing that is not on the disk.
                for write in queue {
                    let written = storage.write(&write).map(|()| write.number);
                    let failed = written.is_err();
                    if acknowledge.send(written).is_err() || failed {
                        return;
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
