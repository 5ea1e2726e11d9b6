//! A volume in a file or on a block device that all nodes share, by `O_DIRECT`.
//!
//! Space is allocated and written when the volume is made, so that I/O never takes the host file's
//! inode lock exclusively: a node that waits for a page would otherwise stall another node's write.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use fs_core::flat::{Layout, LayoutError, SUPERBLOCK_BYTES};

use super::{RawBuf, Store};
use crate::cache::AlignedBuf;

/// The kernel's limit on pieces in one call (`IOV_MAX`).
const PIECES_PER_CALL_MAX: usize = 1024;
/// Bytes written at once when a volume is made.
const FORMAT_BYTES: usize = 1 << 20;

/// A volume that cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The file or device cannot be opened or read.
    #[error("cannot open the volume {path}: {source}")]
    Open {
        /// The volume.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The filesystem under it does not do direct I/O.
    #[error(
        "{path} is on a filesystem without direct I/O (O_DIRECT); put the volume on a disk filesystem, \
         for example with TMPDIR or --volume"
    )]
    NoDirectIo {
        /// The volume.
        path: PathBuf,
    },
    /// It is there and something else than an empty file.
    #[error("{path} is not empty; --force overwrites it")]
    NotEmpty {
        /// The volume.
        path: PathBuf,
    },
    /// Its content is no volume, or too small for one.
    #[error("{path}: {source}")]
    Layout {
        /// The volume.
        path: PathBuf,
        /// What is wrong.
        source: LayoutError,
    },
    /// Reading or writing it failed.
    #[error("I/O error on the volume {path}: {source}")]
    Io {
        /// The volume.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A volume in a file or on a block device.
#[derive(Debug)]
pub struct FileStore {
    file: File,
    alignment: usize,
}

impl FileStore {
    /// Opens a flat volume.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn open(path: &Path) -> Result<(Self, Layout), VolumeError> {
        let store = Self::open_raw(path, false)?;
        let io = |source| VolumeError::Io {
            path: path.into(),
            source,
        };
        let there = size(&store.file).map_err(io)?;
        let layout = |source| VolumeError::Layout {
            path: path.into(),
            source,
        };
        if there < SUPERBLOCK_BYTES as u64 {
            let needed = 2 * SUPERBLOCK_BYTES as u64;
            return Err(layout(LayoutError::TooSmall { needed, there }));
        }
        let mut buf = AlignedBuf::new(SUPERBLOCK_BYTES);
        store
            .read(
                0,
                &[RawBuf {
                    addr: buf.addr(),
                    len: SUPERBLOCK_BYTES,
                }],
            )
            .map_err(io)?;
        let block: &mut [u8; SUPERBLOCK_BYTES] = (&mut buf[..SUPERBLOCK_BYTES])
            .try_into()
            .expect("the superblock's size");
        let geometry = Layout::decode(block, there).map_err(layout)?;
        Ok((store, geometry))
    }

    /// Makes a flat volume of zeros: on a block device as it is, in a file that is created or empty.
    /// A file or device with a content is refused unless `force`.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn format(path: &Path, layout: Layout, force: bool) -> Result<(), VolumeError> {
        let bad = |source| VolumeError::Layout {
            path: path.into(),
            source,
        };
        let layout = layout.checked().map_err(bad)?;
        let io = |source| VolumeError::Io {
            path: path.into(),
            source,
        };
        let store = Self::open_raw(path, true)?;
        let there = size(&store.file).map_err(io)?;
        let device = store
            .file
            .metadata()
            .map_err(io)?
            .file_type()
            .is_block_device();
        if !force
            && (if device {
                store.has_content().map_err(io)?
            } else {
                there > 0
            })
        {
            return Err(VolumeError::NotEmpty { path: path.into() });
        }
        let needed = layout.volume_bytes();
        if device && there < needed {
            return Err(bad(LayoutError::TooSmall { needed, there }));
        }
        if !device {
            store.file.set_len(needed).map_err(io)?;
        }
        store.write_all(layout).map_err(io)
    }

    fn open_raw(path: &Path, create: bool) -> Result<Self, VolumeError> {
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

    fn has_content(&self) -> io::Result<bool> {
        // Every filesystem, partition table and volume manager leaves a mark in the first megabyte.
        let buf = AlignedBuf::new(FORMAT_BYTES);
        let got = self.read(
            0,
            &[RawBuf {
                addr: buf.addr(),
                len: FORMAT_BYTES,
            }],
        )?;
        Ok(buf[..got].iter().any(|&byte| byte != 0))
    }

    fn write_all(&self, layout: Layout) -> io::Result<()> {
        let mut buf = AlignedBuf::new(FORMAT_BYTES);
        let mut offset = SUPERBLOCK_BYTES as u64;
        while offset < layout.volume_bytes() {
            let len = (layout.volume_bytes() - offset).min(FORMAT_BYTES as u64) as usize;
            offset += self.write(
                offset,
                &[RawBuf {
                    addr: buf.addr(),
                    len,
                }],
            )? as u64;
        }
        // The superblock comes last: a volume that was cut off while it was made is none.
        buf[..SUPERBLOCK_BYTES].copy_from_slice(&layout.encode());
        self.write(
            0,
            &[RawBuf {
                addr: buf.addr(),
                len: SUPERBLOCK_BYTES,
            }],
        )?;
        self.flush()
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

impl Store for FileStore {
    fn read(&self, offset: u64, bufs: &[RawBuf]) -> io::Result<usize> {
        self.transfer(offset, bufs, Call::Read)
    }

    fn write(&self, offset: u64, bufs: &[RawBuf]) -> io::Result<usize> {
        self.transfer(offset, bufs, Call::Write)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn alignment(&self) -> usize {
        self.alignment
    }
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

fn size(file: &File) -> io::Result<u64> {
    use std::io::Seek;
    let mut file = file;
    file.seek(io::SeekFrom::End(0))
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
