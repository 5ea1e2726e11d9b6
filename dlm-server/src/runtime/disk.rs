//! The thread that writes: a write waits for the disk, and the loop does not.

use std::sync::mpsc as blocking;
use std::{iter, thread};

use tokio::sync::mpsc;

use crate::storage::{Storage, StorageError, Write};

/// The disk of one server. Writes are done in the order in which they were given.
#[derive(Debug)]
pub(super) struct Disk {
    writes: blocking::Sender<Write>,
    done: mpsc::UnboundedReceiver<Result<u64, StorageError>>,
}

/// So many writes are synced together.
const GROUP_MAX: usize = 256;

impl Disk {
    /// Takes over a storage. It is closed when this is dropped and what was given is written.
    pub(super) fn new(mut storage: Box<dyn Storage + Send>) -> std::io::Result<Self> {
        let (writes, queue) = blocking::channel::<Write>();
        let (acknowledge, done) = mpsc::unbounded_channel();
        thread::Builder::new().name("disk".into()).spawn(move || {
            // Neither queue has a limit of its own: the replica has one for what it proposes and has
            // not committed, and sends nothing that is not on the disk.
            while let Ok(first) = queue.recv() {
                let group = iter::once(first).chain(queue.try_iter().take(GROUP_MAX - 1));
                let written = write_all(storage.as_mut(), group.collect());
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

/// Writes what waited while the disk was busy, and syncs it once: all is on the disk when its last one is.
/// Says the last one's number.
fn write_all(storage: &mut dyn Storage, mut group: Vec<Write>) -> Result<u64, StorageError> {
    let sync = group.iter().any(|write| write.sync);
    let mut number = 0;
    let last = group.len().saturating_sub(1);
    for (at, write) in group.iter_mut().enumerate() {
        write.sync = sync && at == last;
        storage.write(write)?;
        number = write.number;
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, and whether it was synced with it.
    #[derive(Debug, Default)]
    struct Written(Vec<(u64, bool)>);

    impl Storage for Written {
        fn write(&mut self, write: &Write) -> Result<(), StorageError> {
            self.0.push((write.number, write.sync));
            Ok(())
        }
    }

    fn write(number: u64, sync: bool) -> Write {
        Write {
            number,
            sync,
            ..Write::default()
        }
    }

    #[test]
    fn what_waited_is_synced_once_and_acknowledged_together() {
        let mut disk = Written::default();
        let group = vec![write(1, true), write(2, true), write(3, false)];
        assert_eq!(write_all(&mut disk, group).unwrap(), 3);
        assert_eq!(disk.0, [(1, false), (2, false), (3, true)]);
        assert_eq!(write_all(&mut disk, vec![write(4, false)]).unwrap(), 4);
        assert_eq!(disk.0[3], (4, false));
    }
}
