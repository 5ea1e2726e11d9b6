//! A scenario as text: an operation a line in the language of the recordings, and what comes of it.
//!
//! ```text
//! lock 2 b R EX > lkid a!EX
//! unlock 1 a    > 0 a(-DLM_EUNLOCK) b(0)
//! ```
//!
//! Behind the arrow stand what the call returns, then what arrives, in order: `a(0)` is the completion of
//! lock `a`, with its status, its flags and the value that was read, `a!EX` a blocking callback for EX.

use std::fmt::Write as _;

use tests::oracle::{Event, Kernel, Operation, Table, What};

/// Plays the scenario on an empty lock table, and compares every line.
pub(crate) fn play(script: &str) {
    let mut table = Table::desk();
    let lines = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    for line in lines {
        let (operation, expected) = line.split_once(" > ").expect("an arrow");
        let got = answer(&mut table, operation.trim());
        assert_eq!(got, expected.trim(), "{operation}\nin\n{script}");
    }
}

/// What one operation is answered.
pub(crate) fn answer(kernel: &mut impl Kernel, operation: &str) -> String {
    let operation = Operation::parse(operation).expect("of the language");
    let (ret, events) = kernel.step(&operation);
    let mut answer = ret.to_owned();
    for Event { tag, what, .. } in events {
        // Writing to a string cannot fail.
        let _ = match what {
            What::Blocking { mode } => write!(answer, " {tag}!{mode}"),
            What::Completion {
                status,
                flags,
                value,
            } => {
                let flags: String = flags.iter().map(|flag| format!(" {flag}")).collect();
                let value = value.map(|value| format!(" {value:?}")).unwrap_or_default();
                write!(answer, " {tag}({status}{flags}{value})")
            }
        };
    }
    answer
}
