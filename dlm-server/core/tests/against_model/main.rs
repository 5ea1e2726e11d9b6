//! The table against a model that is slow and obvious (`model/`), on random operations.
//!
//! They must have the same outputs in the same order, and every lock in the same place. Tokens the model
//! does not know; they are checked against their history.
//!
//! `GLOCKWORK_LONG=1` runs a million operations.

mod model;
mod operations;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use dlm_core::{Limits, LockTable, LockspaceId, LockspaceOptions, Mode, Output, ResourceName};
use dlm_core::{Status, Tick, Token, ValueLength, invariants};
use model::table::{Model, places_of};
use operations::{Op, input, op, setup};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

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

fn agree(ops: &[Op], limits: Limits) -> Result<(), TestCaseError> {
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_table_does_what_the_model_does(ops in vec(op(), 1..120)) {
        agree(&ops, Limits::DEFAULT)?;
    }

    #[test]
    fn so_it_does_at_its_limits(ops in vec(op(), 1..120)) {
        let limits = Limits { locks_per_session_max: 5, queue_length_max: 2, resources_max: 1 };
        agree(&ops, limits)?;
    }
}

/// A thousand operations at a stretch on average; a million in all, or a small part of it.
#[test]
fn the_table_does_what_the_model_does_for_long() {
    let long = std::env::var_os("GLOCKWORK_LONG").is_some_and(|value| value == "1");
    let operations_min = if long { 1_000_000 } else { 3_000 };
    let done = AtomicUsize::new(0);
    while done.load(Ordering::Relaxed) < operations_min {
        let mut runner = TestRunner::new(ProptestConfig::with_cases(1));
        let run = runner.run(&vec(op(), 1..2000), |ops| {
            done.fetch_add(ops.len(), Ordering::Relaxed);
            agree(&ops, Limits::DEFAULT)
        });
        run.unwrap_or_else(|failure| panic!("{failure}"));
    }
}
