//! Loads and stores that can fail: what a user's program does, except that SIGBUS comes back as a value.
//!
//! A page that cannot be had (the volume failed, the session is gone) is SIGBUS to the thread that touches
//! it, as in the kernel. For a program that is a signal; for a task in the node's own process it must not
//! end the node. So these few instructions stand alone, and the signal's handler, when it finds the thread
//! in them, lets it return with an error. Anywhere else the signal does what it did before.

use std::arch::global_asm;
use std::sync::{Once, OnceLock};

/// The page is not there and cannot be had: what SIGBUS means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SIGBUS: a page of the mapping cannot be had: the volume failed, or the session is lost")]
pub struct BusError;

// Leaf routines without a stack frame: at any instruction the return address is where it was at entry,
// so that `glockwork_access_failed` can return to the caller from any of them.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".global glockwork_load",
    ".global glockwork_store",
    ".global glockwork_copy",
    ".global glockwork_access_failed",
    "glockwork_load:",
    "mov rax, [rdi]",
    "mov [rsi], rax",
    "xor eax, eax",
    "ret",
    "glockwork_store:",
    "mov [rdi], rsi",
    "xor eax, eax",
    "ret",
    "glockwork_copy:",
    "mov rcx, rdx",
    "rep movsb",
    "xor eax, eax",
    "ret",
    "glockwork_access_failed:",
    "mov eax, 1",
    "ret",
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".global glockwork_load",
    ".global glockwork_store",
    ".global glockwork_copy",
    ".global glockwork_access_failed",
    "glockwork_load:",
    "ldr x2, [x0]",
    "str x2, [x1]",
    "mov w0, #0",
    "ret",
    "glockwork_store:",
    "str x1, [x0]",
    "mov w0, #0",
    "ret",
    "glockwork_copy:",
    "cbz x2, 2f",
    "1:",
    "ldrb w3, [x1], #1",
    "strb w3, [x0], #1",
    "subs x2, x2, #1",
    "b.ne 1b",
    "2:",
    "mov w0, #0",
    "ret",
    "glockwork_access_failed:",
    "mov w0, #1",
    "ret",
);

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("loads that can fail are written for x86_64 and aarch64");

unsafe extern "C" {
    fn glockwork_load(from: usize, to: *mut u64) -> i32;
    fn glockwork_store(to: usize, value: u64) -> i32;
    fn glockwork_copy(to: usize, from: usize, bytes: usize) -> i32;
    fn glockwork_access_failed();
}

/// Loads a word.
///
/// # Safety
/// `addr` is aligned and in a mapping that lives.
pub(super) unsafe fn load(addr: usize) -> Result<u64, BusError> {
    let mut value = 0;
    // SAFETY: as promised; the routine touches nothing else.
    let failed = unsafe { glockwork_load(addr, &raw mut value) };
    if failed == 0 {
        Ok(value)
    } else {
        Err(BusError)
    }
}

/// Stores a word.
///
/// # Safety
/// `addr` is aligned and in a writable mapping that lives, and no Rust reference points there.
pub(super) unsafe fn store(addr: usize, value: u64) -> Result<(), BusError> {
    // SAFETY: as promised.
    let failed = unsafe { glockwork_store(addr, value) };
    if failed == 0 { Ok(()) } else { Err(BusError) }
}

/// Copies bytes, upwards.
///
/// # Safety
/// Both ranges lie in memory that lives, do not overlap, and the one that is written is nobody else's
/// by Rust's rules.
pub(super) unsafe fn copy(to: usize, from: usize, bytes: usize) -> Result<(), BusError> {
    // SAFETY: as promised.
    let failed = unsafe { glockwork_copy(to, from, bytes) };
    if failed == 0 { Ok(()) } else { Err(BusError) }
}

/// What SIGBUS and SIGSEGV did before.
static BEFORE: OnceLock<[libc::sigaction; 2]> = OnceLock::new();

/// Installs the handler of SIGBUS and SIGSEGV, once for the process.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: all zeros are a valid sigaction.
        let empty: libc::sigaction = unsafe { std::mem::zeroed() };
        let mut before = [empty; 2];
        let signals = [libc::SIGBUS, libc::SIGSEGV];
        for (signal, before) in signals.into_iter().zip(&mut before) {
            // SAFETY: only asks, into a structure of ours.
            unsafe { libc::sigaction(signal, std::ptr::null(), before) };
        }
        // Known before the handler can run.
        let _ = BEFORE.set(before);
        let mut action = empty;
        action.sa_sigaction = on_signal as *const () as usize;
        // On the alternate stack that std gives its threads, so that std's own handler, which tells of
        // stack overflows, still works after ours.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        for signal in signals {
            // SAFETY: the structure is valid, and the handler does nothing but look at the context.
            unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
        }
    });
}

extern "C" fn on_signal(signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes the interrupted thread's context, which is ours until we return.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let at = program_counter(context);
    let routines =
        glockwork_load as *const () as usize..glockwork_access_failed as *const () as usize;
    if routines.contains(&(*at as usize)) {
        *at = glockwork_access_failed as *const () as usize as _;
        return;
    }
    let Some(before) = BEFORE.get() else { return };
    let before = if signal == libc::SIGBUS {
        &before[0]
    } else {
        &before[1]
    };
    // SAFETY: restores what was there; the instruction runs again and meets that. sigaction may be
    // called in a signal handler.
    unsafe { libc::sigaction(signal, before, std::ptr::null_mut()) };
}

#[cfg(target_arch = "x86_64")]
const fn program_counter(context: &mut libc::ucontext_t) -> &mut i64 {
    &mut context.uc_mcontext.gregs[libc::REG_RIP as usize]
}

#[cfg(target_arch = "aarch64")]
const fn program_counter(context: &mut libc::ucontext_t) -> &mut u64 {
    &mut context.uc_mcontext.pc
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn a_bad_page_comes_back_as_an_error() {
        install();
        // SAFETY: a new mapping without any access.
        let addr = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            libc::mmap(ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0)
        } as usize;
        let mut word = 7u64;
        let here = &raw mut word as usize;
        // SAFETY: the word is ours; the page cannot be accessed, which is the point.
        unsafe {
            assert_eq!(load(here), Ok(7));
            assert_eq!(store(here, 8), Ok(()));
            assert_eq!(load(addr), Err(BusError));
            assert_eq!(store(addr, 1), Err(BusError));
            assert_eq!(copy(here, addr, 8), Err(BusError));
            let (mut to, from) = ([0u8; 5], [1u8, 2, 3, 4, 5]);
            assert_eq!(
                copy(to.as_mut_ptr() as usize, from.as_ptr() as usize, 5),
                Ok(())
            );
            assert_eq!(to, from);
            libc::munmap(addr as *mut _, 4096);
        }
        assert_eq!(word, 8);
    }
}
