//! The server's clock.

use dlm_core::Tick;
use rustix::time::{ClockId, clock_gettime};

/// Microseconds since the machine was booted, those in which it slept included: a lease runs out during a
/// suspend, too.
pub(crate) fn now() -> Tick {
    let time = clock_gettime(ClockId::Boottime);
    let micros = time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000;
    Tick(micros)
}
