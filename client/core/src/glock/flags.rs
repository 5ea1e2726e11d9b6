//! What a holder asks for beside its state, with gfs2's bit values.

use bitflags::bitflags;

bitflags! {
    /// Flags of a holder; the numbers are gfs2's `LM_FLAG_*` and `GL_*`.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct HolderFlags: u32 {
        /// Fail instead of waiting for others.
        const TRY = 0x1;
        /// As `TRY`, and send one blocking callback to the holders in the way.
        const TRY_1CB = 0x2;
        /// Any state but UN will do: SH may be granted as DF and the other way round.
        const ANY = 0x8;
        /// Do not accept a stronger cached state.
        const EXACT = 0x80;
        /// Do not instantiate the object.
        const SKIP = 0x100;
        /// Demote to UN when released.
        const NOCACHE = 0x400;
        /// Succeed only if it can be granted right now from the cached state, without a message.
        const NOBLOCK = 0x800;
        /// Ours: the holder serves a page fault, and its release starts no demotion before the
        /// minimum hold time is over, so that the thread that faulted gets to use its page.
        ///
        /// It is no recursion if its task is in the queue already, nor if the task comes while it is
        /// there: somebody else serves the fault and holds nothing meanwhile, and the thread may have gone
        /// on before that ended (another thread's fault on the same page woke it, or a signal did).
        const FAULT = 0x1000_0000;
    }
}
