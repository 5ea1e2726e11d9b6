//! What the numbers say.

use glockwork_proto::node::Policy;

use super::events::names;
use crate::run::Run;
use crate::words::{counted, span};

/// Of one run: what its policy did, what was lost and excused, and the verdict.
pub(super) fn of(run: &Run) -> Vec<String> {
    let mut said = vec![format!("{}: {}", run.config.policy, policy(run))];
    if run.total.ops_untold > 0 {
        said.push(format!(
            "{} of {} are known by their number alone: the node was lost before it could say more. They are not in the \
             latencies and costs.",
            counted(run.total.ops_untold, "operation"),
            names(run, |node| node.summary.ops_untold > 0),
        ));
    }
    said.extend(excused(run));
    said.extend(run.verdict.faults.iter().map(|fault| fault.text.clone()));
    said.push(verdict(run));
    said
}

/// Of one run among several.
pub(super) fn compared(run: &Run) -> Vec<String> {
    let mut said = vec![policy(run)];
    said.extend(excused(run));
    said.extend(run.verdict.faults.iter().map(|fault| fault.text.clone()));
    if !run.verdict.clean {
        said.push("not clean.".into());
    }
    said
}

fn policy(run: &Run) -> String {
    let total = &run.total;
    let operations = counted(total.ops, "operation");
    if let Some(found) = &run.deadlock {
        let waits = counted(found.edges.len() as u64, "wait");
        return format!("deadlocked after {operations}, in a cycle of {waits}.");
    }
    let fallbacks = counted(total.fallbacks, "fallback");
    match run.config.policy {
        Policy::Block => format!("{operations}, and no deadlock this time; give it more seconds."),
        Policy::Ordered => format!(
            "{operations} ended; {} failed, which cost {}, at most {} in one operation, and {fallbacks}.",
            counted(total.trylock_failed, "trylock"),
            counted(total.lock_cycles, "lock cycle"),
            total.lock_cycles_max,
        ),
        Policy::Nofault | Policy::TryCycle => format!(
            "{operations} ended, with {fallbacks}, {} and at worst {} for one.",
            counted(total.retries, "new start"),
            span(total.max_us),
        ),
    }
}

fn excused(run: &Run) -> Vec<String> {
    let verdict = &run.verdict;
    let mut said = Vec::new();
    if verdict.sessions_excused > 0 {
        said.push(format!(
            "{} ended because of what had been done.",
            counted(verdict.sessions_excused, "session")
        ));
    }
    if verdict.io_errors_excused > 0 {
        said.push(format!(
            "{} on nodes to which something had been done: they get EIO by design.",
            counted(verdict.io_errors_excused, "I/O error")
        ));
    }
    said
}

fn verdict(run: &Run) -> String {
    if run.verdict.clean {
        return "Every word that was read was right, and so is what others read afterwards. The run was clean.".into();
    }
    let faults = counted(run.verdict.faults.len() as u64, "reason");
    format!("The run was not clean, for {faults}; see above.")
}
