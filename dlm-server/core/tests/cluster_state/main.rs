//! The cluster's state under random commands: it never panics, its invariants hold after each, replicas
//! agree, a snapshot continues where its state was, and slots go where they should.
//!
//! A failure prints the commands that led to it, shrunk, and keeps its seed in `proptest-regressions`,
//! which is tried first from then on. `GLOCKWORK_LONG=1` runs twenty times as much.

mod evenness;
mod steps;

use dlm_core::cluster::{ClusterState, Command, Effect, FenceOutcome, Phase, Reply, invariants};
use dlm_core::{LogIndex, SlotId};
use proptest::collection::vec;
use proptest::prelude::*;
use steps::{Step, commands, setup, step_or_force};

fn cases(usual: u32) -> ProptestConfig {
    let long = std::env::var_os("GLOCKWORK_LONG").is_some_and(|value| value == "1");
    ProptestConfig::with_cases(if long { usual * 20 } else { usual })
}

/// A purge comes after a fence, and after the replay of every journal. `before` is the state in which
/// the command was applied.
fn purges_are_due(
    before: &ClusterState,
    command: &Command,
    effects: &[Effect],
) -> Result<(), TestCaseError> {
    for effect in effects {
        let Effect::SessionPurged { session, dirty } = *effect else {
            continue;
        };
        let known = &before.sessions()[&session];
        let due = match (&known.phase, command) {
            (Phase::Live, Command::Goodbye { .. }) => dirty,
            (Phase::Live | Phase::Dead { .. }, Command::Join(join)) => join
                .attests
                .is_some_and(|attested| attested.session == session),
            (Phase::Dead { .. }, Command::FenceResult { outcome, .. }) => {
                let mut open = before.lockspaces_of(session);
                let done = matches!(outcome, FenceOutcome::Done(_));
                done && !open.any(|id| before.lockspaces()[&id].options.replayed)
            }
            (Phase::Fenced { replays, .. }, Command::Replayed(replay)) => {
                replays.len() == 1 && replays.get(&replay.lockspace) == Some(&Some(replay.by))
            }
            _ => false,
        };
        prop_assert!(due, "{command:?} purged {session:?}: {known:?}");
    }
    Ok(())
}

/// What is told of slots is what changed.
fn moves_are_told(
    before: &ClusterState,
    after: &ClusterState,
    effects: &[Effect],
) -> Result<(), TestCaseError> {
    let told: Vec<SlotId> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::SlotMoved { slot, .. } => Some(*slot),
            _ => None,
        })
        .collect();
    for (id, slot) in after.slots() {
        let was = before.slot(id);
        let moved = was.epoch != slot.epoch || was.master != slot.master;
        let times = told.iter().filter(|&&told| told == id).count();
        prop_assert!(
            times == usize::from(moved) || !moved,
            "{id} was told {times} times"
        );
        prop_assert!(!moved || slot.since == after.applied());
    }
    Ok(())
}

fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let (mut state, mut at) = (ClusterState::new(), 0);
    let mut second = state.clone();
    for (number, step) in steps.iter().enumerate() {
        for command in commands(step, &state) {
            // Entries of Raft's own stand between ours.
            at += 1 + u64::from(number % 5 == 0);
            let before = state.clone();
            let (mut effects, mut again) = (Vec::new(), Vec::new());
            let reply = state.apply(LogIndex(at), command.clone(), &mut effects);
            prop_assert_eq!(invariants::check(&state), Ok(()));
            prop_assert_eq!(invariants::check_step(&before, &state), Ok(()));
            prop_assert_eq!(
                second.apply(LogIndex(at), command.clone(), &mut again),
                reply.clone()
            );
            prop_assert_eq!(&effects, &again);
            if let Reply::Refused(_) = reply {
                let mut parts = before.parts();
                parts.applied = state.applied();
                prop_assert_eq!(parts, state.parts());
            }
            purges_are_due(&before, &command, &effects)?;
            moves_are_told(&before, &state, &effects)?;
        }
        if number % 7 == 3 {
            second = ClusterState::from_parts(second.parts()).expect("a good state");
        }
        prop_assert_eq!(&state, &second);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn replicas_agree_and_nothing_breaks(steps in vec(step_or_force(), 1..60)) {
        run(&steps)?;
    }

    #[test]
    fn so_it_is_in_a_cluster_at_work(steps in vec(step_or_force(), 1..60)) {
        run(&[setup(), steps].concat())?;
    }
}
