//! What the demo says to its node processes and what they answer: JSON, a line each, on the node's
//! standard input and output. The end of its input tells a node to stop.

use fs_node::Policy;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::workload::Plan;
use crate::workload::ledger::Ledger;
use dlm_client::nodes::{Errors, Tally};

/// From the demo to a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// Follow this policy, start the plan's tasks, write their regions, and wait.
    Prepare {
        /// The policy.
        #[serde(serialize_with = "policy_name", deserialize_with = "policy_named")]
        policy: Policy,
        /// What the tasks are to do.
        plan: Plan,
    },
    /// Let the tasks run.
    Start,
    /// End the tasks after the operation each is in.
    Finish,
    /// End the tasks, and every wait for a lock with them.
    Interrupt,
}

/// From a node to the demo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// The node is part of the cluster.
    Ready,
    /// The tasks wait. What they found of an earlier run in their regions was wrong so often.
    Prepared {
        /// Errors that the earlier run left behind.
        found: Errors,
    },
    /// They run.
    Progress {
        /// Operations so far.
        ops: u64,
    },
    /// They have ended.
    Result {
        /// What they counted.
        tally: Tally,
        /// What they wrote.
        ledgers: Vec<Ledger>,
    },
}

fn policy_name<S: Serializer>(policy: &Policy, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(policy.name())
}

fn policy_named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Policy, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Group;
    use crate::workload::layout::Layout;
    use crate::workload::stamp::Writer;

    #[test]
    fn results_are_read_back() {
        let mut tally = Tally {
            ops: 3,
            ..Tally::default()
        };
        tally.latency_us.record(70);
        tally.io_errors.note(|| "short".into());
        let layout = Layout {
            nodes: 2,
            tasks: 1,
            files: 2,
            io_pages: 1,
            part_ios: 2,
        };
        let ledgers = vec![Ledger::new(&layout, Writer { node: 1, task: 0 })];
        for event in [Event::Ready, Event::Result { tally, ledgers }] {
            let line = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
        }
    }

    #[test]
    fn orders_are_read_back_from_one_line() {
        let layout = Layout {
            nodes: 3,
            tasks: 2,
            files: 6,
            io_pages: 8,
            part_ios: 2,
        };
        let plan = Plan {
            group: Group::SameFile,
            layout,
            seed: 1,
            node: 2,
            reads_percent: 50,
            bounded: true,
            turns: None,
        };
        for order in [
            Order::Prepare {
                policy: Policy::TryCycle,
                plan,
            },
            Order::Interrupt,
        ] {
            let line = serde_json::to_string(&order).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(serde_json::from_str::<Order>(&line).unwrap(), order);
        }
        assert!(serde_json::from_str::<Order>(r#""explode""#).is_err());
    }
}
