//! Request flags, with the values that fs/dlm's user interface gives them.

use bitflags::bitflags;

bitflags! {
    /// What a request or conversion asks for beside its mode. The numbers are fs/dlm's `DLM_LKF_*`;
    /// a bit that is not named here is refused.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct RequestFlags: u32 {
        /// Fail instead of waiting: the answer is `TryFailed`.
        const NOQUEUE = 0x1;
        /// The conversion may not overtake conversions that already wait (conversions upward only).
        const QUECVT = 0x10;
        /// With `NOQUEUE`: a failure sends a blocking callback to the holders in the way.
        const NOQUEUEBAST = 0x800;
    }
}
