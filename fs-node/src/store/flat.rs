//! The flat volume: a number of files of one size, and no filesystem.

use std::io;
use std::path::Path;

use fs_core::flat::{Layout, LayoutError, SUPERBLOCK_BYTES};

use super::file::DeviceFile;
use super::{RawBuf, Volume, VolumeError};
use crate::cache::AlignedBuf;

/// Bytes written at once when a volume is made.
const FORMAT_BYTES: usize = 1 << 20;

/// A flat volume in a file or on a block device.
#[derive(Debug)]
pub struct FlatVolume {
    file: DeviceFile,
    layout: Layout,
}

impl FlatVolume {
    /// Opens one.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn open(path: &Path) -> Result<Self, VolumeError> {
        let io = |source| VolumeError::Io {
            path: path.into(),
            source,
        };
        let bad = |source| VolumeError::Layout {
            path: path.into(),
            source,
        };
        let file = DeviceFile::open(path, false)?;
        let there = file.size().map_err(io)?;
        if there < SUPERBLOCK_BYTES as u64 {
            // A superblock and one inode of one page.
            let needed = 2 * SUPERBLOCK_BYTES as u64;
            return Err(bad(LayoutError::TooSmall { needed, there }));
        }
        let mut buf = AlignedBuf::new(SUPERBLOCK_BYTES);
        file.read(0, &[first(&buf, SUPERBLOCK_BYTES)]).map_err(io)?;
        let block: &mut [u8; SUPERBLOCK_BYTES] = (&mut buf[..SUPERBLOCK_BYTES])
            .try_into()
            .expect("the superblock's size");
        let layout = Layout::decode(block, there).map_err(bad)?;
        Ok(Self { file, layout })
    }

    /// Makes one, all zeros: on a block device as it is, in a file that is created or empty. A file or
    /// device with a content is refused unless `force`.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn format(path: &Path, layout: Layout, force: bool) -> Result<(), VolumeError> {
        let io = |source| VolumeError::Io {
            path: path.into(),
            source,
        };
        let bad = |source| VolumeError::Layout {
            path: path.into(),
            source,
        };
        let layout = layout.checked().map_err(bad)?;
        let file = DeviceFile::open(path, true)?;
        let (there, needed) = (file.size().map_err(io)?, layout.volume_bytes());
        let is_device = file.is_device().map_err(io)?;
        if !force && there > 0 && (!is_device || has_content(&file).map_err(io)?) {
            return Err(VolumeError::NotEmpty { path: path.into() });
        }
        if is_device && there < needed {
            return Err(bad(LayoutError::TooSmall { needed, there }));
        }
        if !is_device {
            file.set_size(needed).map_err(io)?;
        }
        write_all(&file, layout).map_err(io)
    }

    /// Its geometry.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Where byte `offset` of an inode is.
    fn place(&self, inode: u64, offset: u64, bufs: &[RawBuf]) -> io::Result<u64> {
        let len: usize = bufs.iter().map(|buf| buf.len).sum();
        let inside = offset
            .checked_add(len as u64)
            .is_some_and(|end| end <= self.layout.inode_bytes);
        match self.layout.inode_start(inode) {
            Some(start) if inside => Ok(start + offset),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl Volume for FlatVolume {
    fn number(&self) -> u32 {
        self.layout.volume
    }

    fn inode_bytes(&self, inode: u64) -> Option<u64> {
        self.layout
            .inode_start(inode)
            .map(|_| self.layout.inode_bytes)
    }

    fn read(&self, inode: u64, offset: u64, bufs: &[RawBuf]) -> io::Result<usize> {
        self.file.read(self.place(inode, offset, bufs)?, bufs)
    }

    fn write(&self, inode: u64, offset: u64, bufs: &[RawBuf]) -> io::Result<usize> {
        self.file.write(self.place(inode, offset, bufs)?, bufs)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.flush()
    }

    fn alignment(&self) -> usize {
        self.file.alignment()
    }
}

fn first(buf: &AlignedBuf, len: usize) -> RawBuf {
    RawBuf {
        addr: buf.addr(),
        len,
    }
}

fn has_content(file: &DeviceFile) -> io::Result<bool> {
    // Every filesystem, partition table and volume manager leaves a mark in the first megabyte.
    let buf = AlignedBuf::new(FORMAT_BYTES);
    let got = file.read(0, &[first(&buf, FORMAT_BYTES)])?;
    Ok(buf[..got].iter().any(|&byte| byte != 0))
}

fn write_all(file: &DeviceFile, layout: Layout) -> io::Result<()> {
    let mut buf = AlignedBuf::new(FORMAT_BYTES);
    let mut offset = SUPERBLOCK_BYTES as u64;
    while offset < layout.volume_bytes() {
        let len = (layout.volume_bytes() - offset).min(FORMAT_BYTES as u64) as usize;
        let written = file.write(offset, &[first(&buf, len)])?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        offset += written as u64;
    }
    // The superblock comes last: a volume that was cut off while it was made is none.
    buf[..SUPERBLOCK_BYTES].copy_from_slice(&layout.encode());
    file.write(0, &[first(&buf, SUPERBLOCK_BYTES)])?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_outside_an_inode_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("volume");
        let layout = Layout {
            volume: 3,
            inodes: 2,
            inode_bytes: 8192,
        };
        FlatVolume::format(&path, layout, false).expect("made");
        let again = FlatVolume::format(&path, layout, false).expect_err("there is a content");
        assert!(matches!(again, VolumeError::NotEmpty { .. }), "{again}");
        let volume = FlatVolume::open(&path).expect("opened");
        assert_eq!((volume.number(), volume.layout()), (3, layout));
        assert_eq!(
            (volume.inode_bytes(2), volume.inode_bytes(3)),
            (Some(8192), None)
        );

        let buf = AlignedBuf::new(8192);
        let page = first(&buf, 4096);
        assert_eq!(volume.write(2, 4096, &[page]).expect("inside"), 4096);
        for (inode, offset) in [(0, 0), (3, 0), (1, 8192), (2, 4608), (1, u64::MAX)] {
            assert!(
                volume.write(inode, offset, &[page]).is_err(),
                "{inode} {offset}"
            );
            assert!(
                volume.read(inode, offset, &[page]).is_err(),
                "{inode} {offset}"
            );
        }
    }
}
