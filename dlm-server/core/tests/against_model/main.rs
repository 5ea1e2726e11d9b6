//! The table against a model that is slow and obvious (`model/`), on random operations.
//!
//! They must have the same outputs in the same order, and every lock in the same place. Tokens the model
//! does not know; they are checked against their history.
//!
//! A million operations, and one sequence of them again:
//!
//! ```console
//! $ GLOCKWORK_LONG=1 cargo test -p dlm-core --test against_model for_long
//! $ GLOCKWORK_SEED=7 cargo test -p dlm-core --test against_model for_long
//! ```

mod model;
mod operations;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use dlm_core::{Limits, LockTable, LockspaceId, LockspaceOptions, Mode, Output, ResourceName};
use dlm_core::{Refusal, Status, Tick, Token, ValueLength, invariants};
use model::table::{Model, places_of};
use operations::{Op, input, op, setup};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

type Name = (LockspaceId, ResourceName);

/// The largest token of every mode so far, by resource. It outlives the resource.
#[derive(Default)]
struct History(BTreeMap<(Name, Mode), Token>);

impl History {
    /// Takes a grant in, and checks that its token is above those of all earlier grants that exclude it.
    fn grant(&mut self, resource: Name, mode: Mode, token: Token) -> Result<(), TestCaseError> {
        for earlier in Mode::ALL {
            let smaller = self.0.get(&(resource.clone(), earlier));
            let smaller = smaller.copied().unwrap_or_default();
            prop_assert!(
                earlier.compatible(mode) || smaller < token,
                "{mode} under {token:?} after {earlier} under {smaller:?}"
            );
        }
        let largest = self.0.entry((resource, mode)).or_default();
        *largest = token.max(*largest);
        Ok(())
    }
}

fn without_token(mut output: Output) -> Output {
    if let Output::Done {
        token,
        value_sequence,
        ..
    } = &mut output
    {
        (*token, *value_sequence) = (Token(0), 0);
    }
    output
}

/// Runs the operations on both. `reached` gets how they ended.
fn agree(
    ops: &[Op],
    limits: Limits,
    reached: &mut BTreeMap<String, usize>,
) -> Result<(), TestCaseError> {
    let (mut table, mut model) = (LockTable::new(limits, 5), Model::new(limits));
    let mut history = History::default();
    let options = LockspaceOptions {
        value_length: ValueLength::new(8).expect("a length"),
        breaks_deadlocks: false,
    };
    let setup = setup(options);
    let all = setup.iter().chain(ops);
    for (number, op) in (1..).zip(all) {
        // Now and then so much time passes that what is remembered of old resources is forgotten.
        let now = Tick(number + number / 40 * 11_000_000);
        let (input, for_model) = input(op, number, &table);
        let mut out = Vec::new();
        table.step(now, input, &mut out);
        let expected = model.step(now, for_model);
        let is_answer = |output: &&Output| !matches!(output, Output::Queued { .. });
        let answers = out.iter().filter(is_answer).cloned();
        let got: Vec<Output> = answers.map(without_token).collect();
        prop_assert_eq!(got, expected, "step {}: {:?}", number, op);
        prop_assert_eq!(invariants::check(&table), Ok(()));
        let places = model.places();
        prop_assert_eq!(places_of(&table), places, "step {}: {:?}", number, op);
        for output in out {
            let Output::Done {
                session,
                lock,
                status,
                mode,
                token,
                ..
            } = output
            else {
                continue;
            };
            *reached.entry(format!("{status:?}")).or_default() += 1;
            prop_assert_eq!(mode.is_some(), token > Token(0), "a token goes with a mode");
            // A lock that is granted on the way out with its owner is gone by now.
            let resource = model.resource_of(session, lock);
            if let (Status::Granted, Some(mode), Some(resource)) = (status, mode, resource) {
                history.grant(resource, mode, token)?;
            }
        }
    }
    Ok(())
}

/// So small that all of them are reached.
const SMALL: Limits = Limits {
    locks_per_session_max: 5,
    queue_length_max: 2,
    resources_max: 1,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_table_does_what_the_model_does(ops in vec(op(), 1..120)) {
        agree(&ops, Limits::DEFAULT, &mut BTreeMap::new())?;
    }

    #[test]
    fn so_it_does_at_its_limits(ops in vec(op(), 1..120)) {
        agree(&ops, SMALL, &mut BTreeMap::new())?;
    }
}

/// The most memory that a run may come to use: a hundred times what one sequence needs. A table or a
/// model that grows without end is found here, and not by the machine.
const MEMORY_BYTES_MAX: u64 = 1 << 30;

/// The memory of this process, where the system tells it.
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

/// The sequence of operations of this seed, a thousand on average; how many they were.
fn run_seed(seed: u64, limits: Limits, reached: &RefCell<BTreeMap<String, usize>>) -> usize {
    let config = ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 4096,
        ..ProptestConfig::with_cases(1)
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let count = RefCell::new(0);
    let run = TestRunner::new_with_rng(config, rng).run(&vec(op(), 1..2000), |ops| {
        *count.borrow_mut() = ops.len();
        agree(&ops, limits, &mut reached.borrow_mut())
    });
    run.unwrap_or_else(|failure| {
        panic!(
            "seed {seed}: {failure}\nagain: GLOCKWORK_SEED={seed} cargo test -p dlm-core --test \
             against_model for_long"
        )
    });
    count.into_inner()
}

/// A million operations in all, or a small part of it.
#[test]
fn the_table_does_what_the_model_does_for_long() {
    let reached = RefCell::default();
    if let Ok(seed) = std::env::var("GLOCKWORK_SEED") {
        let seed = seed.parse().expect("GLOCKWORK_SEED is a number");
        run_seed(seed, Limits::DEFAULT, &reached);
        return;
    }
    let long = std::env::var_os("GLOCKWORK_LONG").is_some_and(|value| value == "1");
    let operations_min = if long { 1_000_000 } else { 3_000 };
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let first = since.map_or(0, |since| since.as_secs()) << 20;
    let mut done = 0;
    for seed in first.. {
        if done >= operations_min {
            break;
        }
        done += run_seed(seed, Limits::DEFAULT, &reached);
        let memory = memory_bytes().unwrap_or_default();
        assert!(
            memory <= MEMORY_BYTES_MAX,
            "seed {seed}: {memory} bytes of memory after {done} operations"
        );
    }
    println!(
        "{done} operations, from seed {first}, in {} MiB",
        memory_bytes().unwrap_or_default() >> 20
    );
}

/// Every way in which an operation can end comes up: what never happens is not tested.
#[test]
fn random_operations_reach_every_answer() {
    let reached = RefCell::default();
    for seed in 0..6 {
        run_seed(seed, Limits::DEFAULT, &reached);
        run_seed(seed, SMALL, &reached);
    }
    let mut expected: BTreeSet<String> = [
        Status::Granted,
        Status::TryFailed,
        Status::Deadlock,
        Status::Cancelled,
        Status::Unlocked,
        Status::NothingToCancel,
        Status::CancelDone,
        Status::Adopted,
    ]
    .map(|status| format!("{status:?}"))
    .into();
    // A name that is too long is no name: it never gets here.
    expected.extend(
        [
            Refusal::ValueLength,
            Refusal::Flags,
            Refusal::LockIdInUse,
            Refusal::NoSuchLock,
            Refusal::NoSuchOrphan,
            Refusal::OrphanMode,
            Refusal::NoSuchLockspace,
            Refusal::Busy,
            Refusal::AlreadyCancelled,
            Refusal::LocksPerSession,
            Refusal::QueueLength,
            Refusal::Resources,
            Refusal::NoSuchSession,
        ]
        .map(|refusal| format!("{:?}", Status::Refused(refusal))),
    );
    let reached: BTreeSet<String> = reached.into_inner().into_keys().collect();
    assert_eq!(reached, expected);
}
