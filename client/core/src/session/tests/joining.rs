//! The first lease: a `Join` that is repeated renews nothing at the cluster.
//!
//! Run one seed again with `GLOCKWORK_SEED=17 cargo test -p glock-core --lib session::tests::joining`.

use super::cluster::Dice;
use super::*;
use dlm_core::cluster::CommandRefusal;

const fn is_join(call: &Call) -> bool {
    matches!(call, Call::Join { .. })
}

const fn is_keepalive(call: &Call) -> bool {
    matches!(call, Call::KeepAlive { .. })
}

fn begun(stage: &Stage) -> bool {
    let joined = |output: &Output| matches!(output, Output::Joined { .. });
    stage.out.iter().any(joined)
}

const HELD_US: u64 = 5_000_000 - 500_000 - 5_000;

/// The first one may have been executed, and its answer lost.
#[test]
fn a_lease_is_counted_from_the_first_join() {
    let mut stage = Stage::new();
    stage.at(500).input(Input::Clock);
    stage.at(520).input(Input::Clock);
    stage.at(600).joined();
    assert!(begun(&stage));
    assert_eq!(stage.session.lease_ends(), Some(Tick(HELD_US)));
    assert_eq!(stage.session.wake_at(), Some(Tick(1_000_000)));
}

#[test]
fn a_session_whose_first_join_is_long_ago_waits_for_a_keepalive() {
    let mut stage = Stage::new();
    let (call, _) = stage.call(is_join);
    stage.at(500).answer(call, CallAnswer::Failed);
    stage.at(4900).input(Input::Clock).joined();
    assert!(!begun(&stage));
    assert_eq!(stage.session.phase(), Phase::Joining);
    assert_eq!(stage.session.lease_ends(), None);
    let (call, _) = stage.call(is_keepalive);
    stage.input(open_space(1));
    let failed = Answer::Failed(Failure::NotJoined);
    assert_eq!(stage.answers(), vec![(1, failed)]);
    let map_index = LogIndex(10);
    stage.at(5100).answer(call, CallAnswer::Alive { map_index });
    assert!(begun(&stage));
    assert_eq!(stage.session.lease_ends(), Some(Tick(4_900_000 + HELD_US)));
}

#[test]
fn a_session_that_died_before_it_began_does_not_begin() {
    let mut stage = Stage::new();
    let (call, _) = stage.call(is_join);
    stage.at(500).answer(call, CallAnswer::Failed);
    stage.at(4900).input(Input::Clock).joined();
    let (call, _) = stage.call(is_keepalive);
    let why = CommandRefusal::SessionDead;
    stage.answer(call, CallAnswer::Refused(why.clone()));
    let why = Loss::Join(why);
    assert_eq!(stage.out, vec![Output::Lost { why }]);
}

/// The cluster, and what is on its way to it: calls are executed late or never, and so come their answers.
struct Leader {
    dice: Dice,
    /// When it may declare the session dead.
    expires: Option<Tick>,
    calls: Vec<(CallId, Call)>,
    answers: Vec<(CallId, CallAnswer)>,
}

impl Leader {
    fn execute(&mut self, now: Tick, asked: &Call) -> CallAnswer {
        let dead = self.expires.is_some_and(|expires| now >= expires);
        let expires = Timing::DEFAULT.session_expires(now);
        match asked {
            Call::Join { .. } | Call::KeepAlive { .. } if dead => {
                CallAnswer::Refused(CommandRefusal::SessionDead)
            }
            Call::Join { .. } => {
                self.expires.get_or_insert(expires);
                CallAnswer::Joined {
                    session: SessionId(5),
                    joined: LogIndex(10),
                    version: 1,
                    lease_us: Timing::DEFAULT.session_lease_us,
                }
            }
            Call::KeepAlive { .. } => {
                self.expires = Some(expires);
                CallAnswer::Alive {
                    map_index: LogIndex(10),
                }
            }
            _ => CallAnswer::Failed,
        }
    }

    fn happen(&mut self, now: Tick, session: &mut Session, loses: u64) {
        let mut out = Vec::new();
        let dice = &mut self.dice;
        let (calls, answers) = (self.calls.len() as u64, self.answers.len() as u64);
        match dice.below(3) {
            0 if calls > 0 => {
                let (call, asked) = self.calls.swap_remove(dice.below(calls) as usize);
                if !self.dice.one_in(loses) {
                    let answer = self.execute(now, &asked);
                    if !self.dice.one_in(loses) {
                        self.answers.push((call, answer));
                    }
                }
            }
            1 if answers > 0 => {
                let at = dice.below(answers) as usize;
                let (call, answer) = self.answers.swap_remove(at);
                session.step(now, Input::Answered { call, answer }, &mut out);
            }
            _ => session.step(now, Input::Clock, &mut out),
        }
        for output in out {
            if let Output::Call { call, request, .. } = output {
                self.calls.push((call, request));
            }
        }
    }
}

/// Whether the session began, and whether that was long after its first Join.
fn run(seed: u64) -> (bool, bool) {
    let mut leader = Leader {
        dice: Dice(seed * 2 + 1),
        expires: None,
        calls: Vec::new(),
        answers: Vec::new(),
    };
    let mut now = Tick(0);
    let mut session = Session::new(now, config(seed));
    let (mut began, mut late) = (false, false);
    let loses = 1 + leader.dice.below(4);
    for _ in 0..400 {
        now = now.plus(leader.dice.below(150_000));
        // The network heals, or nobody ever joins where everything is lost.
        let loses = if now < Tick(6_000_000) { loses } else { 20 };
        leader.happen(now, &mut session, loses);
        if let (Phase::Live, Some(ends)) = (session.phase(), session.lease_ends()) {
            late |= !began && now > Tick(5_000_000);
            began = true;
            let expires = leader.expires.expect("it joined");
            assert!(ends < expires, "it ends at {ends:?}, dead at {expires:?}");
        }
    }
    (began, late)
}

#[test]
fn no_session_lives_longer_than_the_cluster_lets_it_however_often_it_asked() {
    let only: Option<u64> = std::env::var("GLOCKWORK_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(1..401, |seed| seed..seed + 1);
    let mut sums = [0; 2];
    for seed in seeds {
        std::println!("GLOCKWORK_SEED={seed}");
        let (began, late) = run(seed);
        sums[0] += u64::from(began);
        sums[1] += u64::from(late);
    }
    std::println!("sessions that began, and late: {sums:?}");
    assert!(
        only.is_some() || (sums[0] > 200 && sums[1] > 20),
        "{sums:?}"
    );
}
