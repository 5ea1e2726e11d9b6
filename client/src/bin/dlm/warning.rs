//! What is said beside a result, on standard error: that it is not of the whole cluster.

use dlm_client::inspect::Coverage;

/// Says what a view lacks, a line for each thing.
pub(crate) fn incomplete(coverage: &Coverage) {
    for complaint in coverage.complaints() {
        eprintln!("dlm: not all is shown: {complaint}");
    }
}
