//! Whose trace an operation belongs to, for those that are recorded.

/// A span of a trace, as W3C Trace Context names it. What is not sampled is not sent, so there are no flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; not 0.
    pub trace: u128,
    /// The span in it; not 0.
    pub span: u64,
}

impl TraceContext {
    /// A span of a trace.
    ///
    /// Nothing where one of them is 0, which stands for none.
    #[must_use]
    pub const fn new(trace: u128, span: u64) -> Option<Self> {
        match (trace, span) {
            (0, _) | (_, 0) => None,
            (trace, span) => Some(Self { trace, span }),
        }
    }
}
