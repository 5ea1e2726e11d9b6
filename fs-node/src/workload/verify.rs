//! Reads, through this node's locks, what tasks of other nodes say they wrote.

use dlm_client::nodes::{Errors, Group};
use fs_node::{AlignedBuf, Node, UserBuf};

use super::Plan;
use super::counters::word_at;
use super::crew::{CrewError, Files};
use super::layout::PAGE_BYTES;
use super::ledger::Ledger;
use super::stamp::page_of;
use super::transfer::inode;

/// Compares the volume with the ledgers, and says what was wrong.
///
/// # Errors
/// [`CrewError::Map`], [`CrewError::Verify`]: it cannot be read.
pub(crate) fn verify(node: &Node, plan: &Plan, ledgers: &[Ledger]) -> Result<Errors, CrewError> {
    match plan.group {
        Group::Counters => counters(node, plan, ledgers),
        Group::Cross | Group::SameFile | Group::Mixed => regions(node, plan, ledgers),
    }
}

fn regions(node: &Node, plan: &Plan, ledgers: &[Ledger]) -> Result<Errors, CrewError> {
    let layout = &plan.layout;
    let task = node.task("verify");
    let mut errors = Errors::default();
    let mut buf = AlignedBuf::new(layout.region_pages() * PAGE_BYTES);
    for ledger in ledgers {
        for file in 0..layout.files {
            let offset = layout.offset(ledger.writer(), 0) as u64;
            let wanted = buf.len();
            buf.fill(0);
            let read = task.direct_read(inode(file), offset, &[UserBuf::of(&mut buf)]);
            let failed = match read {
                Ok(outcome) if outcome.bytes == wanted => None,
                Ok(outcome) => Some(format!("{} of {wanted} bytes", outcome.bytes)),
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = failed {
                return Err(CrewError::Verify { file, why });
            }
            for page in 0..layout.region_pages() {
                ledger.check(layout, file, page, &page_of(&buf, page), &mut errors);
            }
        }
    }
    Ok(errors)
}

fn counters(node: &Node, plan: &Plan, ledgers: &[Ledger]) -> Result<Errors, CrewError> {
    let layout = &plan.layout;
    let files = Files::map(node, layout)?;
    // The loads below are this task's.
    let _task = node.task("verify");
    let mut errors = Errors::default();
    for ledger in ledgers {
        let index = layout.counter(ledger.writer());
        for (file, page) in layout.counter_pages() {
            let word = files.mapping(file).try_load_u64(word_at(page, index));
            let word = word.map_err(|error| CrewError::Verify {
                file,
                why: error.to_string(),
            })?;
            ledger.check_word(file, page, page, (index, word), &mut errors);
        }
    }
    Ok(errors)
}
