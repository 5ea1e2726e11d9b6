//! userfaultfd, from the kernel's interface up.
//!
//! The numbers are those of `linux/userfaultfd.h`; nothing but ioctls on one descriptor and reads of
//! 32-byte messages. All `unsafe` of the fault path is here.

use std::fs::OpenOptions;
use std::io::{self, PipeReader};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A fault that the kernel reports: a thread is asleep in it until it is resolved or woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The address, rounded down to its page.
    pub addr: usize,
    /// Whether the thread wants to write.
    pub write: bool,
    /// Whether the page is mapped and write-protected (as opposed to not mapped).
    pub protected: bool,
    /// The thread.
    pub thread: i32,
}

/// No userfaultfd can be had.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither way to get one is allowed.
    #[error(
        "userfaultfd is not available: /dev/userfaultfd: {device}; system call: {call}. Remedy: make \
         /dev/userfaultfd readable and writable for this user (in a container, pass it as a device), or \
         run as root, or use a kernel of 6.1 or later with CONFIG_USERFAULTFD"
    )]
    Denied {
        /// What opening the device said.
        device: io::Error,
        /// What the system call said.
        call: io::Error,
    },
    /// The kernel's userfaultfd lacks what the page cache is built on.
    #[error(
        "this kernel's userfaultfd lacks write protection or minor faults for shared memory (features \
         {0:#x}); Linux 6.1 or later has them"
    )]
    Features(u64),
}

#[repr(C)]
struct ApiArg {
    api: u64,
    features: u64,
    ioctls: u64,
}

#[repr(C)]
struct RegisterArg {
    start: u64,
    len: u64,
    mode: u64,
    ioctls: u64,
}

#[repr(C)]
struct RangeArg {
    start: u64,
    len: u64,
}

#[repr(C)]
struct ProtectArg {
    start: u64,
    len: u64,
    mode: u64,
}

/// `uffdio_continue` and `uffdio_poison` have the same shape.
#[repr(C)]
struct CountedArg {
    start: u64,
    len: u64,
    mode: u64,
    count: i64,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Message {
    event: u8,
    reserved1: u8,
    reserved2: u16,
    reserved3: u32,
    flags: u64,
    address: u64,
    thread: u32,
    reserved4: u32,
}

const fn ioctl(read_write: u64, number: u64, size: usize) -> u64 {
    (read_write << 30) | ((size as u64) << 16) | (0xAA << 8) | number
}

const API: u64 = 0xAA;
const IOC_NEW: u64 = ioctl(0, 0x00, 0);
const IOC_API: u64 = ioctl(3, 0x3F, size_of::<ApiArg>());
const IOC_REGISTER: u64 = ioctl(3, 0x00, size_of::<RegisterArg>());
const IOC_UNREGISTER: u64 = ioctl(2, 0x01, size_of::<RangeArg>());
const IOC_WAKE: u64 = ioctl(2, 0x02, size_of::<RangeArg>());
const IOC_WRITEPROTECT: u64 = ioctl(3, 0x06, size_of::<ProtectArg>());
const IOC_CONTINUE: u64 = ioctl(3, 0x07, size_of::<CountedArg>());
const IOC_POISON: u64 = ioctl(3, 0x08, size_of::<CountedArg>());

const MODE_MISSING_WP_MINOR: u64 = 1 | 2 | 4;
const FEATURE_FLAG_WP: u64 = 1 << 0;
const FEATURE_MISSING_SHMEM: u64 = 1 << 5;
const FEATURE_THREAD_ID: u64 = 1 << 8;
const FEATURE_MINOR_SHMEM: u64 = 1 << 10;
const FEATURE_WP_SHMEM: u64 = 1 << 12;
const FEATURE_POISON: u64 = 1 << 14;
const REQUIRED: u64 = FEATURE_FLAG_WP
    | FEATURE_MISSING_SHMEM
    | FEATURE_THREAD_ID
    | FEATURE_MINOR_SHMEM
    | FEATURE_WP_SHMEM;

const CONTINUE_DONTWAKE: u64 = 1;
const CONTINUE_WP: u64 = 2;
const PROTECT_WP: u64 = 1;
const PROTECT_DONTWAKE: u64 = 2;

const EVENT_PAGEFAULT: u8 = 0x12;
const FLAG_WRITE: u64 = 1 << 0;
const FLAG_WP: u64 = 1 << 1;
const USER_MODE_ONLY: libc::c_long = 1;

const _: () = assert!(size_of::<Message>() == 32);

/// A userfaultfd whose features are those that the page cache needs.
#[derive(Debug)]
pub(crate) struct Userfaultfd {
    fd: OwnedFd,
    poison: bool,
}

impl Userfaultfd {
    /// Opens one: by `/dev/userfaultfd`, by the system call, or by the system call for faults of user
    /// mode only, which every user may do (then a system call on an absent page gets EFAULT, while the
    /// node's own I/O, which never lets the kernel fault, works as ever).
    ///
    /// # Errors
    /// [`OpenError`], which says what to do.
    pub(crate) fn open() -> Result<Self, OpenError> {
        let device = match by_device() {
            Ok(fd) => return Self::handshake(fd),
            Err(error) => error,
        };
        if let Ok(fd) = by_call(0) {
            return Self::handshake(fd);
        }
        match by_call(USER_MODE_ONLY) {
            Ok(fd) => Self::handshake(fd),
            Err(call) => Err(OpenError::Denied { device, call }),
        }
    }

    fn handshake(fd: OwnedFd) -> Result<Self, OpenError> {
        let mut poison = true;
        let mut arg = ApiArg {
            api: API,
            features: REQUIRED | FEATURE_POISON,
            ioctls: 0,
        };
        if call(fd.as_raw_fd(), IOC_API, &mut arg).is_err() {
            // Poisoning is younger (Linux 6.6) than the rest; without it a page that cannot be read
            // gets its thread killed in another way.
            poison = false;
            arg = ApiArg {
                api: API,
                features: REQUIRED,
                ioctls: 0,
            };
            if call(fd.as_raw_fd(), IOC_API, &mut arg).is_err() {
                return Err(OpenError::Features(arg.features));
            }
        }
        Ok(Self { fd, poison })
    }

    /// Registers a mapping: from now on its faults come here.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn register(&self, addr: usize, len: usize) -> io::Result<()> {
        let mut arg = RegisterArg {
            start: addr as u64,
            len: len as u64,
            mode: MODE_MISSING_WP_MINOR,
            ioctls: 0,
        };
        call(self.raw(), IOC_REGISTER, &mut arg)
    }

    /// Gives a mapping back to the kernel; threads asleep in it are woken.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn unregister(&self, addr: usize, len: usize) -> io::Result<()> {
        call(
            self.raw(),
            IOC_UNREGISTER,
            &mut RangeArg {
                start: addr as u64,
                len: len as u64,
            },
        )
    }

    /// Maps what the page cache has for `addr`, write-protected or not. A page that is mapped already is
    /// left as it is. Nobody is woken: [`Self::wake`] does that.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn map_page(&self, addr: usize, len: usize, protect: bool) -> io::Result<()> {
        let mode = CONTINUE_DONTWAKE | if protect { CONTINUE_WP } else { 0 };
        let mut arg = CountedArg {
            start: addr as u64,
            len: len as u64,
            mode,
            count: 0,
        };
        match call(self.raw(), IOC_CONTINUE, &mut arg) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other,
        }
    }

    /// Protects a range against writes, or lifts the protection. Nobody is woken.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn protect(&self, addr: usize, len: usize, on: bool) -> io::Result<()> {
        let mode = if on { PROTECT_WP } else { PROTECT_DONTWAKE };
        call(
            self.raw(),
            IOC_WRITEPROTECT,
            &mut ProtectArg {
                start: addr as u64,
                len: len as u64,
                mode,
            },
        )
    }

    /// Wakes the threads that wait for a page in the range; they look again.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn wake(&self, addr: usize, len: usize) -> io::Result<()> {
        call(
            self.raw(),
            IOC_WAKE,
            &mut RangeArg {
                start: addr as u64,
                len: len as u64,
            },
        )
    }

    /// Makes accesses to an absent page fail: SIGBUS to a load or store, EFAULT to a system call.
    /// `false` where the kernel cannot do that.
    pub(crate) fn poison(&self, addr: usize, len: usize) -> bool {
        let mut arg = CountedArg {
            start: addr as u64,
            len: len as u64,
            mode: 0,
            count: 0,
        };
        self.poison && call(self.raw(), IOC_POISON, &mut arg).is_ok()
    }

    /// Reads the faults that wait, as many as fit. Empty where there are none now.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn read(&self, faults: &mut Vec<Fault>) -> io::Result<()> {
        let mut messages = [Message {
            event: 0,
            reserved1: 0,
            reserved2: 0,
            reserved3: 0,
            flags: 0,
            address: 0,
            thread: 0,
            reserved4: 0,
        }; 32];
        // SAFETY: the buffer is valid for its whole size, and any bytes are a valid `Message`.
        let got = unsafe {
            libc::read(
                self.raw(),
                messages.as_mut_ptr().cast(),
                size_of_val(&messages),
            )
        };
        if got < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock {
                Ok(())
            } else {
                Err(error)
            };
        }
        let count = got as usize / size_of::<Message>();
        faults.extend(
            messages[..count]
                .iter()
                .filter(|m| m.event == EVENT_PAGEFAULT)
                .map(|m| Fault {
                    addr: m.address as usize & !(fs_core::limits::PAGE_BYTES - 1),
                    write: m.flags & (FLAG_WRITE | FLAG_WP) != 0,
                    protected: m.flags & FLAG_WP != 0,
                    thread: m.thread as i32,
                }),
        );
        Ok(())
    }

    /// Waits until a fault can be read; `false` once the other end of `stop` is closed.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn wait(&self, stop: &PipeReader) -> io::Result<bool> {
        let entry = |fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut entries = [entry(self.raw()), entry(stop.as_raw_fd())];
        loop {
            // SAFETY: the array is ours and has two entries.
            if unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) } >= 0 {
                return Ok(entries[1].revents == 0);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// The calling thread's number, as faults name it.
pub(crate) fn thread_number() -> i32 {
    // SAFETY: takes nothing and touches nothing.
    unsafe { libc::gettid() }
}

fn by_device() -> io::Result<OwnedFd> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/userfaultfd")?;
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: USERFAULTFD_IOC_NEW takes flags by value and touches no memory of ours.
    let fd = unsafe { libc::ioctl(device.as_raw_fd(), IOC_NEW as _, flags) };
    owned(i64::from(fd))
}

fn by_call(flags: libc::c_long) -> io::Result<OwnedFd> {
    let flags = libc::c_long::from(libc::O_CLOEXEC | libc::O_NONBLOCK) | flags;
    // SAFETY: the system call takes flags by value and touches no memory of ours.
    let fd = unsafe { libc::syscall(libc::SYS_userfaultfd, flags) };
    owned(fd)
}

fn owned(fd: i64) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us, nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

fn call<T>(fd: RawFd, request: u64, arg: &mut T) -> io::Result<()> {
    loop {
        // SAFETY: every caller passes the argument structure that belongs to the request, and the
        // kernel reads and writes no more than that. What the ranges in it name is memory that was
        // mapped for user space and that no Rust reference points into.
        let result = unsafe { libc::ioctl(fd, request as _, std::ptr::from_mut(arg)) };
        if result >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // EAGAIN: the address space changes at this moment (a fork, a munmap elsewhere).
        if error.raw_os_error() != Some(libc::EAGAIN) {
            return Err(error);
        }
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_requests_are_the_kernels() {
        assert_eq!(IOC_NEW, 0xAA00);
        assert_eq!(IOC_API, 0xC018_AA3F);
        assert_eq!(IOC_REGISTER, 0xC020_AA00);
        assert_eq!(IOC_UNREGISTER, 0x8010_AA01);
        assert_eq!(IOC_WAKE, 0x8010_AA02);
        assert_eq!(IOC_WRITEPROTECT, 0xC018_AA06);
        assert_eq!(IOC_CONTINUE, 0xC020_AA07);
        assert_eq!(IOC_POISON, 0xC020_AA08);
    }
}
