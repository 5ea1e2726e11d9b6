//! The last look: every region, read from the volume itself when all nodes are gone, against what its
//! writer said it wrote.

use std::path::Path;

use fs_node::store::{RawBuf, Volume};
use fs_node::{AlignedBuf, FlatVolume, VolumeError};

use crate::workload::layout::{Layout, PAGE_BYTES};
use crate::workload::ledger::Ledger;
use crate::workload::stamp::page_of;
use dlm_client::nodes::Errors;

/// Compares the volume with the ledgers.
///
/// # Errors
/// The volume cannot be read.
pub(crate) fn audit(
    path: &Path,
    layout: &Layout,
    ledgers: &[Ledger],
) -> Result<Errors, VolumeError> {
    let volume = FlatVolume::open(path)?;
    let mut errors = Errors::default();
    let mut buf = AlignedBuf::new(layout.region_pages() * PAGE_BYTES);
    for file in 0..layout.files {
        let inode = file as u64 + 1;
        for ledger in ledgers {
            let offset = layout.offset(ledger.writer(), 0) as u64;
            let piece = RawBuf {
                addr: buf.addr(),
                len: buf.len(),
            };
            let io = |source| VolumeError::Io {
                path: path.into(),
                source,
            };
            buf.fill(0);
            volume.read(inode, offset, &[piece]).map_err(io)?;
            for page in 0..layout.region_pages() {
                ledger.check(layout, file, page, &page_of(&buf, page), &mut errors);
            }
        }
    }
    Ok(errors)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};

    use super::*;
    use crate::demo::volume;
    use crate::workload::layout::Span;
    use crate::workload::stamp::{Stamp, Writer};

    #[test]
    fn a_page_that_is_lost_on_the_way_to_the_volume_is_found() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("volume");
        let layout = Layout {
            nodes: 1,
            tasks: 1,
            files: 2,
            io_pages: 1,
            part_ios: 2,
        };
        volume::make(&path, 2, layout.inode_bytes(), false).unwrap();
        let writer = Writer { node: 0, task: 0 };
        let mut ledger = Ledger::new(&layout, writer);
        let ledgers = [ledger.clone()];
        assert_eq!(audit(&path, &layout, &ledgers).unwrap().count, 0);

        let span = Span { page: 1, pages: 1 };
        ledger.begin(1, span, 3);
        ledger.commit(1, span);
        let ledgers = [ledger];
        let errors = audit(&path, &layout, &ledgers).unwrap();
        assert_eq!(errors.count, 1, "{errors:?}");

        let geometry = FlatVolume::open(&path).unwrap().layout();
        let offset = geometry.inode_start(2).unwrap() + PAGE_BYTES as u64;
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        for word in Stamp::fill(writer, 0, 3) {
            file.write_all(&word.to_ne_bytes()).unwrap();
        }
        file.sync_all().unwrap();
        assert_eq!(audit(&path, &layout, &ledgers).unwrap().count, 0);
    }
}
