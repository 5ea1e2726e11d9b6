//! A file or block device that all nodes share, by `O_DIRECT`.
//!
//! Space is allocated and written when the volume is made, so that I/O never takes the host file's
//! inode lock exclusively: a node that waits for a page would otherwise stall another node's write.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::{RawBuf, VolumeError};

/// The kernel's limit on pieces in one call (`IOV_MAX`).
const PIECES_PER_CALL_MAX: usize = 1024;

/// An open file or block device.
#[derive(Debug)]
pub(super) struct DeviceFile {
    file: File,
    alignment: usize,
}

impl DeviceFile {
    /// Opens it; `create` makes a file that is not there.
    pub(super) fn open(path: &Path, create: bool) -> Result<Self, VolumeError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .custom_flags(libc::O_DIRECT)
            .open(path)
            .map_err(|source| match source.raw_os_error() {
                Some(libc::EINVAL) => VolumeError::NoDirectIo { path: path.into() },
                _ => VolumeError::Open {
                    path: path.into(),
                    source,
                },
            })?;
        let alignment = alignment(&file);
        Ok(Self { file, alignment })
    }

    /// Its bytes.
    pub(super) fn size(&self) -> io::Result<u64> {
        let mut file = &self.file;
        file.seek(io::SeekFrom::End(0))
    }

    /// Whether it is a block device, which has the size that it has.
    pub(super) fn is_device(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.file_type().is_block_device())
    }

    /// Makes a file so long.
    pub(super) fn set_size(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    /// Reads from `offset` into `bufs`, one after the other.
    pub(super) fn read(&self, offset: u64, bufs: &[RawBuf]) -> io::Result<usize> {
        self.transfer(offset, bufs, Call::Read)
    }

    /// Writes `bufs` at `offset`, one after the other.
    pub(super) fn write(&self, offset: u64, bufs: &[RawBuf]) -> io::Result<usize> {
        self.transfer(offset, bufs, Call::Write)
    }

    /// What was written survives a loss of power after this.
    pub(super) fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Offsets, lengths and addresses are multiples of this.
    pub(super) const fn alignment(&self) -> usize {
        self.alignment
    }

    fn transfer(&self, offset: u64, bufs: &[RawBuf], call: Call) -> io::Result<usize> {
        let mut done = 0;
        let wanted: usize = bufs.iter().map(|buf| buf.len).sum();
        while done < wanted {
            let rest = after(bufs, done);
            match self.once(offset + done as u64, &rest, call) {
                Ok(0) => break,
                Ok(bytes) => done += bytes,
                // The kernel refuses a list as a whole if one address in it is bad: go piece by
                // piece, so that what comes before it is transferred.
                Err(error) if error.raw_os_error() == Some(libc::EFAULT) && rest.len() > 1 => {
                    match self.once(offset + done as u64, &rest[..1], call) {
                        Ok(bytes) if bytes > 0 => done += bytes,
                        _ if done > 0 => break,
                        Ok(_) => break,
                        Err(error) => return Err(error),
                    }
                }
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn once(&self, offset: u64, bufs: &[RawBuf], call: Call) -> io::Result<usize> {
        let pieces: Vec<libc::iovec> = bufs
            .iter()
            .take(PIECES_PER_CALL_MAX)
            .map(|buf| libc::iovec {
                iov_base: buf.addr as *mut _,
                iov_len: buf.len,
            })
            .collect();
        let (fd, count) = (self.file.as_raw_fd(), pieces.len() as libc::c_int);
        let offset = offset as libc::off_t;
        loop {
            // SAFETY: the list is valid for the call. The kernel checks the addresses in it; what is
            // behind them belongs to whoever called the node with them (as with readv(2)), or is the
            // node's own view of pages that are pinned.
            let result = unsafe {
                match call {
                    Call::Read => libc::preadv(fd, pieces.as_ptr(), count, offset),
                    Call::Write => libc::pwritev(fd, pieces.as_ptr(), count, offset),
                }
            };
            if let Ok(bytes) = usize::try_from(result) {
                return Ok(bytes);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Call {
    Read,
    Write,
}

/// What is left of `bufs` when the first `done` bytes are gone.
fn after(bufs: &[RawBuf], mut done: usize) -> Vec<RawBuf> {
    let mut rest = Vec::with_capacity(bufs.len());
    for buf in bufs {
        let skip = done.min(buf.len);
        done -= skip;
        if skip < buf.len {
            rest.push(RawBuf {
                addr: buf.addr + skip,
                len: buf.len - skip,
            });
        }
    }
    rest
}

/// The alignment that direct I/O on this file wants; where the kernel does not say, a page is right
/// everywhere.
fn alignment(file: &File) -> usize {
    // SAFETY: all zeros are a valid statx structure.
    let mut answer: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: an empty path with AT_EMPTY_PATH means the descriptor; the structure is ours.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_DIOALIGN,
            &raw mut answer,
        )
    };
    let (memory, offset) = (answer.stx_dio_mem_align, answer.stx_dio_offset_align);
    if result < 0 || answer.stx_mask & libc::STATX_DIOALIGN == 0 || offset == 0 {
        return fs_core::limits::PAGE_BYTES;
    }
    (memory.max(offset) as usize).clamp(512, fs_core::limits::PAGE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partly_done_list_goes_on_where_it_stopped() {
        let bufs = [RawBuf { addr: 100, len: 10 }, RawBuf { addr: 300, len: 20 }];
        assert_eq!(after(&bufs, 0), bufs);
        assert_eq!(after(&bufs, 10), bufs[1..]);
        assert_eq!(after(&bufs, 15), [RawBuf { addr: 305, len: 15 }]);
        assert!(after(&bufs, 30).is_empty());
    }
}
