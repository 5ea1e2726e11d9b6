//! The clock of a session: boot time, which goes on while the machine is suspended and while the process is
//! stopped. What happens during either counts against the lease.

use std::io;

use dlm_core::Tick;
use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tokio::net::unix::pipe;

const US_PER_S: u64 = 1_000_000;
const NS_PER_US: u64 = 1_000;

/// The time, in microseconds since the machine was started.
pub(crate) fn now() -> Tick {
    let now = clock_gettime(ClockId::Boottime);
    // Neither part is negative.
    let us = now.tv_nsec.unsigned_abs() / NS_PER_US;
    Tick(now.tv_sec.unsigned_abs() * US_PER_S + us)
}

/// What wakes the driver at a time of this clock. The runtime's own timers stand still in suspend: a lease
/// that ran out meanwhile would be noticed late.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// A timer's descriptor is waited for and read like a pipe's.
    timer: pipe::Receiver,
    set: Option<Tick>,
}

impl Alarm {
    /// # Errors
    /// There are as many open files as there may be.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        let timer = pipe::Receiver::from_owned_fd_unchecked(timer)?;
        Ok(Self { timer, set: None })
    }

    /// Sets it, or puts it out. A time that has passed rings at once.
    ///
    /// # Errors
    /// None that a timer of one's own gives.
    pub(crate) fn set(&mut self, at: Option<Tick>) -> io::Result<()> {
        if at == self.set {
            return Ok(());
        }
        let flags = TimerfdTimerFlags::ABSTIME;
        timerfd_settime(&self.timer, flags, &once(at))?;
        self.set = at;
        Ok(())
    }

    /// Waits until it rings. Dropped before it does, it has not rung.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub(crate) async fn rings(&mut self) -> io::Result<()> {
        let mut count = [0; size_of::<u64>()];
        loop {
            self.timer.readable().await?;
            match self.timer.try_read(&mut count) {
                Ok(_) => {
                    self.set = None;
                    return Ok(());
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

/// A time of zero would put it out.
fn once(at: Option<Tick>) -> Itimerspec {
    let zero = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let at = at.map_or(zero, |at| {
        let us = at.0.max(1);
        let ns = (us % US_PER_S) * NS_PER_US;
        Timespec {
            tv_sec: i64::try_from(us / US_PER_S).unwrap_or(i64::MAX),
            tv_nsec: ns.try_into().unwrap_or_default(),
        }
    });
    Itimerspec {
        it_interval: zero,
        it_value: at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_rings_when_the_time_has_come_and_not_before() {
        let mut alarm = Alarm::new().unwrap();
        let begun = now();
        for after_us in [0, 20_000] {
            alarm.set(Some(begun.plus(after_us))).unwrap();
            alarm.rings().await.unwrap();
            assert!(now().since(begun) >= after_us);
        }
    }

    #[tokio::test]
    async fn what_is_set_anew_or_put_out_does_not_ring_as_before() {
        let mut alarm = Alarm::new().unwrap();
        alarm.set(Some(now())).unwrap();
        alarm.set(None).unwrap();
        let never = tokio::time::timeout(std::time::Duration::from_millis(20), alarm.rings());
        assert!(never.await.is_err());
        alarm.set(Some(Tick(u64::MAX))).unwrap();
        alarm.set(Some(now())).unwrap();
        alarm.rings().await.unwrap();
    }
}
