//! A volume that fails on request: under test, or in a scenario.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{RawBuf, Volume};

/// What the storage does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreFault {
    /// It works.
    #[default]
    None,
    /// Every read, write and flush waits until that is over.
    Stall,
    /// Every one takes so much longer.
    Delay(Duration),
    /// Every one ends with EIO.
    Fail,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    fault: StoreFault,
    until: Option<Instant>,
}

impl State {
    fn now(&self) -> StoreFault {
        match self.until {
            Some(until) if until <= Instant::now() => StoreFault::None,
            _ => self.fault,
        }
    }
}

/// A volume in front of another.
#[derive(Debug)]
pub struct FaultyVolume {
    volume: Arc<dyn Volume>,
    state: Mutex<State>,
    changed: Condvar,
}

impl FaultyVolume {
    /// One that works as `volume` does, for now.
    #[must_use]
    pub fn new(volume: Arc<dyn Volume>) -> Self {
        Self {
            volume,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// From now on it has this fault: for `length`, or until there is another.
    pub fn fail(&self, fault: StoreFault, length: Option<Duration>) {
        let until = length.map(|length| Instant::now() + length);
        *self.state() = State { fault, until };
        self.changed.notify_all();
    }

    /// What it does now.
    #[must_use]
    pub fn fault(&self) -> StoreFault {
        self.state().now()
    }

    /// Goes on when the fault lets it.
    fn pass(&self) -> io::Result<()> {
        let mut state = self.state();
        let delayed = |now: StoreFault| match now {
            StoreFault::Delay(by) => Some(Instant::now() + by),
            _ => None,
        };
        let over = delayed(state.now());
        loop {
            let wait = match state.now() {
                StoreFault::None => return Ok(()),
                StoreFault::Fail => return Err(io::Error::from_raw_os_error(libc::EIO)),
                StoreFault::Stall => state.until.map(|until| until - Instant::now()),
                StoreFault::Delay(_) => {
                    let left = over.map_or(Duration::ZERO, |over| {
                        over.saturating_duration_since(Instant::now())
                    });
                    if left.is_zero() {
                        return Ok(());
                    }
                    Some(left)
                }
            };
            state = match wait {
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Whole at every moment.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Volume for FaultyVolume {
    fn number(&self) -> u32 {
        self.volume.number()
    }

    fn inode_bytes(&self, inode: u64) -> Option<u64> {
        self.volume.inode_bytes(inode)
    }

    fn read(&self, inode: u64, offset: u64, bufs: &[RawBuf]) -> io::Result<usize> {
        self.pass()?;
        self.volume.read(inode, offset, bufs)
    }

    fn write(&self, inode: u64, offset: u64, bufs: &[RawBuf]) -> io::Result<usize> {
        self.pass()?;
        self.volume.write(inode, offset, bufs)
    }

    fn flush(&self) -> io::Result<()> {
        self.pass()?;
        self.volume.flush()
    }

    fn alignment(&self) -> usize {
        self.volume.alignment()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// A volume of nothing.
    #[derive(Debug)]
    struct Hole;

    impl Volume for Hole {
        fn number(&self) -> u32 {
            1
        }

        fn inode_bytes(&self, _: u64) -> Option<u64> {
            None
        }

        fn read(&self, _: u64, _: u64, _: &[RawBuf]) -> io::Result<usize> {
            Ok(0)
        }

        fn write(&self, _: u64, _: u64, _: &[RawBuf]) -> io::Result<usize> {
            Ok(0)
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }

        fn alignment(&self) -> usize {
            512
        }
    }

    #[test]
    fn it_fails_as_long_as_it_is_to_and_works_before_and_after() {
        let volume = FaultyVolume::new(Arc::new(Hole));
        assert!(volume.read(1, 0, &[]).is_ok());
        volume.fail(StoreFault::Fail, None);
        assert_eq!(volume.fault(), StoreFault::Fail);
        let error = volume.write(1, 0, &[]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EIO));
        assert!(volume.flush().is_err());
        volume.fail(StoreFault::None, None);
        assert!(volume.write(1, 0, &[]).is_ok());
        volume.fail(StoreFault::Fail, Some(Duration::ZERO));
        assert_eq!(volume.fault(), StoreFault::None);
    }

    #[test]
    fn what_is_stalled_goes_on_when_that_is_over() {
        let volume = FaultyVolume::new(Arc::new(Hole));
        volume.fail(StoreFault::Stall, None);
        thread::scope(|scope| {
            let reads = scope.spawn(|| volume.read(1, 0, &[]));
            thread::sleep(Duration::from_millis(20));
            assert!(!reads.is_finished());
            volume.fail(StoreFault::None, None);
            assert!(reads.join().unwrap().is_ok());
        });
        let start = Instant::now();
        volume.fail(StoreFault::Stall, Some(Duration::from_millis(30)));
        assert!(volume.flush().is_ok());
        volume.fail(StoreFault::Delay(Duration::from_millis(30)), None);
        assert!(volume.flush().is_ok());
        assert!(start.elapsed() >= Duration::from_millis(60));
    }
}
