//! Masters of a slot are lost and replaced, or replaced as planned, while clients go on and miss answers.
//!
//! After every recovery: no honest client is evicted, no lock is forgotten, what was told its position
//! waits in that order, tokens have grown over all that was ever granted, and every value is what it was
//! or not valid. After every move the table is what it was.

mod client;
mod faults;

use std::collections::{BTreeMap, HashSet};

use client::{Client, LOCKSPACE, padded};
use dlm_core::deadlock::Queue;
use dlm_core::detail::ResourceDetail;
use dlm_core::recovery::{Begin, Claim, Config, Member, PhaseName, SlotInput, SlotMaster};
use dlm_core::recovery::{SlotOutput, Standing, Stands};
use dlm_core::{Epoch, Input, Limits, LockId, LockspaceOptions, Mode, OpId, Output, Owner};
use dlm_core::{RequestFlags as F, ResourceName, SessionId, SlotId, Status, Tick, Token};
use dlm_core::{ValueBlock, ValueLength, invariants};
use proptest::collection::vec;
use proptest::prelude::*;

const CONFIG: Config = Config {
    limits: Limits::DEFAULT,
    seed: 3,
    reassert_us_max: 1_000_000,
    waiting_per_session_max: 8,
};

/// Three resources of one slot.
fn names() -> (SlotId, Vec<ResourceName>) {
    let all = (0..10_000_u32).map(|n| ResourceName::new(&n.to_le_bytes()).expect("a name"));
    let slot = SlotId::new(7).expect("a slot");
    let names = all.filter(|name| SlotId::of(LOCKSPACE, name) == slot);
    (slot, names.take(3).collect())
}

#[derive(Clone, Debug)]
enum Op {
    Request(u8, u8, Mode, F),
    Convert(u8, u8, Mode, F, Option<u8>),
    Unlock(u8, u8, Option<u8>),
    /// The session's messages are lost from now on, or the master's to it.
    Cut(u8, bool),
    /// The master is lost. A session may die of it without a word.
    Lose(Option<u8>),
    /// The slot moves as planned.
    Move,
}

fn flags(chances: &'static [(F, u32)]) -> impl Strategy<Value = F> {
    vec(0..100_u32, chances.len()).prop_map(move |dice| {
        let drawn = chances.iter().zip(dice);
        let drawn = drawn.filter(|((_, chance), die)| die + chance >= 100);
        drawn.map(|((flag, _), _)| *flag).collect()
    })
}

const OF_REQUEST: &[(F, u32)] = &[
    (F::NOQUEUE, 10),
    (F::VALBLK, 60),
    (F::HEADQUE, 8),
    (F::NOORDER, 8),
    (F::ALTPR, 6),
    (F::ALTCW, 6),
];

const OF_CONVERT: &[(F, u32)] = &[
    (F::NOQUEUE, 10),
    (F::VALBLK, 60),
    (F::IVVALBLK, 6),
    (F::QUECVT, 8),
    (F::CONVDEADLK, 20),
    (F::NODLCKWT, 8),
    (F::HEADQUE, 8),
    (F::NOORDER, 8),
    (F::ALTPR, 10),
    (F::ALTCW, 10),
];

fn op() -> impl Strategy<Value = Op> {
    let (session, pick) = (0..3_u8, 0..12_u8);
    let mode = (0..6_u8).prop_map(|number| Mode::from_number(number).expect("six modes"));
    let value = prop_oneof![1 => Just(None), 4 => (1..=250_u8).prop_map(Some)];
    prop_oneof![
        8 => (session.clone(), 0..3_u8, mode.clone(), flags(OF_REQUEST))
            .prop_map(|(session, name, mode, flags)| Op::Request(session, name, mode, flags)),
        12 => (session.clone(), pick.clone(), mode, flags(OF_CONVERT), value.clone())
            .prop_map(|(session, lock, mode, flags, value)| Op::Convert(session, lock, mode, flags, value)),
        5 => (session.clone(), pick, value).prop_map(|(session, lock, value)| Op::Unlock(session, lock, value)),
        2 => (session.clone(), any::<bool>()).prop_map(|(session, sends)| Op::Cut(session, sends)),
        2 => prop_oneof![4 => Just(None), 1 => session.prop_map(Some)].prop_map(Op::Lose),
        1 => Just(Op::Move),
    ]
}

struct World {
    slot: SlotId,
    names: Vec<ResourceName>,
    master: SlotMaster,
    clients: BTreeMap<SessionId, Client>,
    now: Tick,
    last: u64,
    session_last: u64,
    /// The largest token of every mode so far, by resource.
    history: BTreeMap<(ResourceName, Mode), Token>,
    /// Values that were sent to be stored since the last recovery, by resource.
    sent: HashSet<(Vec<u8>, ValueBlock)>,
}

type Checked = Result<(), TestCaseError>;

impl World {
    fn new() -> Self {
        let (slot, names) = names();
        let clients: BTreeMap<SessionId, Client> = (1..=3)
            .map(|session| (SessionId(session), Client::new()))
            .collect();
        let begin = begin(slot, Epoch(1), std::iter::empty());
        let mut out = Vec::new();
        let mut master = SlotMaster::recover(Tick(0), CONFIG, &begin, &mut out);
        assert_eq!(out, [SlotOutput::Serving]);
        for &session in clients.keys() {
            join(&mut master, session);
        }
        Self {
            slot,
            names,
            master,
            clients,
            now: Tick(1),
            last: 0,
            session_last: 3,
            history: BTreeMap::new(),
            sent: HashSet::new(),
        }
    }

    fn session(&self, index: u8) -> SessionId {
        let index = usize::from(index) % self.clients.len();
        *self.clients.keys().nth(index).expect("three sessions")
    }

    fn run(&mut self, op: &Op) -> Checked {
        self.now = self.now.plus(1);
        self.last += 1;
        match *op {
            Op::Request(session, name, mode, flags) => {
                let name = self.names[usize::from(name)].clone();
                let input = Input::Request {
                    session: self.session(session),
                    op: OpId(self.last),
                    lockspace: LOCKSPACE,
                    lock: LockId(self.last),
                    name,
                    mode,
                    flags,
                    owner: Owner(0),
                };
                self.send(input)
            }
            Op::Convert(session, pick, mode, flags, value) => {
                self.convert(session, pick, (mode, flags), value)
            }
            Op::Unlock(session, pick, value) => self.unlock(session, pick, value),
            Op::Cut(session, sends) => {
                let session = self.session(session);
                let client = self.clients.get_mut(&session).expect("it lives");
                if sends {
                    client.sends = false;
                } else {
                    client.hears = false;
                }
                Ok(())
            }
            Op::Lose(dies) => self.lose(dies.map(|index| self.session(index))),
            Op::Move => self.move_as_planned(),
        }
    }

    fn convert(
        &mut self,
        session: u8,
        pick: u8,
        (mode, flags): (Mode, F),
        value: Option<u8>,
    ) -> Checked {
        let session = self.session(session);
        let idle = |lock: &client::Lock| lock.pending.is_empty();
        let Some((lock, held, name)) = self.pick(session, pick, idle) else {
            return Ok(());
        };
        let mut flags = flags;
        if flags.contains(F::NOQUEUE) {
            flags.remove(F::CONVDEADLK);
        }
        if held.is_none_or(|held| held.is_down_to(mode)) {
            flags.remove(F::QUECVT);
        }
        let value = value.map(|byte| ValueBlock::new(&[byte; 8]).expect("a value"));
        if let Some(value) = &value {
            self.sent.insert((name.as_bytes().to_vec(), value.clone()));
        }
        self.send(Input::Convert {
            session,
            op: OpId(self.last),
            lock,
            mode,
            flags,
            owner: Owner(0),
            value,
        })
    }

    fn unlock(&mut self, session: u8, pick: u8, value: Option<u8>) -> Checked {
        let session = self.session(session);
        let not_gone = |lock: &client::Lock| {
            let last = lock.pending.last();
            let tries = last.is_some_and(|it| match it.input {
                Input::Unlock { .. } => true,
                Input::Request { flags, .. } | Input::Convert { flags, .. } => {
                    flags.contains(F::NOQUEUE)
                }
                _ => false,
            });
            !tries
        };
        // With an operation that was not answered it is not known from which mode it goes.
        let quiet = |lock: &client::Lock| {
            not_gone(lock) && (lock.pending.is_empty() || lock.held.is_none())
        };
        let Some((lock, _, name)) = self.pick(session, pick, quiet) else {
            return Ok(());
        };
        let value = value.map(|byte| ValueBlock::new(&[byte; 8]).expect("a value"));
        if let Some(value) = &value {
            self.sent.insert((name.as_bytes().to_vec(), value.clone()));
        }
        self.send(Input::Unlock {
            session,
            op: OpId(self.last),
            lock,
            flags: F::VALBLK,
            value,
        })
    }

    fn pick(
        &self,
        session: SessionId,
        pick: u8,
        wanted: impl Fn(&client::Lock) -> bool,
    ) -> Option<(LockId, Option<Mode>, ResourceName)> {
        let locks = &self.clients[&session].locks;
        let fitting: Vec<_> = locks.iter().filter(|(_, lock)| wanted(lock)).collect();
        let &(&id, lock) = fitting.get(usize::from(pick) % fitting.len().max(1))?;
        Some((id, lock.held, lock.name.clone()))
    }

    /// A client sends an operation, which may be lost.
    fn send(&mut self, input: Input) -> Checked {
        let (Input::Request { session, .. }
        | Input::Convert { session, .. }
        | Input::Unlock { session, .. }) = input
        else {
            unreachable!("what is sent here")
        };
        let client = self.clients.get_mut(&session).expect("it lives");
        client.sent(&input);
        if !client.sends {
            return Ok(());
        }
        self.operate(input)
    }

    fn operate(&mut self, operation: Input) -> Checked {
        let epoch = self.master.epoch();
        let out = self.step(SlotInput::Operation { epoch, operation });
        self.deliver(&out)
    }

    fn step(&mut self, input: SlotInput) -> Vec<SlotOutput> {
        let mut out = Vec::new();
        self.master.step(self.now, input, &mut out);
        out
    }

    fn deliver(&mut self, out: &[SlotOutput]) -> Checked {
        let checked = invariants::check(self.master.table());
        prop_assert!(checked.is_ok(), "{checked:?}");
        for output in out {
            let output = match output {
                SlotOutput::Table(output) => output,
                SlotOutput::Serving => continue,
                other => {
                    return Err(TestCaseError::fail(format!("{other:?}")));
                }
            };
            self.check_token(output)?;
            let (Output::Done { session, .. }
            | Output::Queued { session, .. }
            | Output::Blocking { session, .. }) = output
            else {
                continue;
            };
            if let Some(client) = self.clients.get_mut(session).filter(|client| client.hears) {
                client.heard(output);
            }
        }
        Ok(())
    }

    /// A grant's token is above those of all earlier grants that exclude it.
    fn check_token(&mut self, output: &Output) -> Checked {
        let Output::Done {
            session,
            lock,
            status: Status::Granted,
            mode: Some(mode),
            token,
            ..
        } = output
        else {
            return Ok(());
        };
        let views = self.master.table().view(None);
        let is_it = |view: &&dlm_core::deadlock::ResourceView| {
            let mut locks = view.locks.iter();
            locks.any(|it| (it.session, it.lock) == (*session, *lock))
        };
        let Some(view) = views.iter().find(is_it) else {
            return Ok(());
        };
        for earlier in Mode::ALL {
            let smaller = self.history.get(&(view.name.clone(), earlier)).copied();
            let smaller = smaller.unwrap_or_default();
            prop_assert!(
                earlier.compatible(*mode) || smaller < *token,
                "{mode} under {token:?} after {earlier} under {smaller:?}"
            );
        }
        // A token that nobody heard of was never used.
        if !self.clients.get(session).is_some_and(|client| client.hears) {
            return Ok(());
        }
        let largest = self.history.entry((view.name.clone(), *mode)).or_default();
        *largest = (*token).max(*largest);
        Ok(())
    }

    /// The master is lost, and a session with it.
    fn lose(&mut self, dies: Option<SessionId>) -> Checked {
        let before = self.master.table().detail(None);
        let epoch = Epoch(self.master.epoch().0 + 1);
        let begin = begin(self.slot, epoch, self.clients.keys().copied());
        let mut out = Vec::new();
        self.master = SlotMaster::recover(self.now, CONFIG, &begin, &mut out);
        prop_assert_eq!(&out, &[]);
        let (mut claimed, mut again) = (Vec::new(), Vec::new());
        let sessions: Vec<SessionId> = self.clients.keys().copied().collect();
        for session in sessions {
            prop_assert_eq!(self.master.phase(), PhaseName::Recovering);
            if dies == Some(session) {
                self.clients.remove(&session);
                out.extend(self.step(SlotInput::Died { session }));
                continue;
            }
            let client = self.clients.get_mut(&session).expect("it lives");
            (client.sends, client.hears) = (true, true);
            let (claims, tries) = client.claims();
            again.extend(tries);
            claimed.extend(claims.iter().map(|claim| (session, claim.clone())));
            out.extend(self.step(SlotInput::Claims {
                session,
                epoch,
                claims,
                done: true,
            }));
        }
        prop_assert_eq!(self.master.phase(), PhaseName::Serving);
        self.check_rebuilt(&claimed, &out, dies.is_some())?;
        self.check_positions(&claimed)?;
        self.deliver(&out)?;
        for input in again {
            self.operate(input)?;
        }
        self.check_values(&before, &claimed)?;
        self.sent.clear();
        if let Some(session) = dies {
            self.purge(session)?;
        }
        self.check_nobody_waits_for_nothing()
    }

    fn purge(&mut self, session: SessionId) -> Checked {
        let dirty = true;
        let out = self.step(SlotInput::Purged { session, dirty });
        self.deliver(&out)?;
        self.session_last += 1;
        let session = SessionId(self.session_last);
        self.clients.insert(session, Client::new());
        join(&mut self.master, session);
        Ok(())
    }

    /// No lock is forgotten, none is stronger than was claimed without an answer that says so, and
    /// positions are kept.
    fn check_rebuilt(
        &self,
        claimed: &[(SessionId, Claim)],
        out: &[SlotOutput],
        closed: bool,
    ) -> Checked {
        let views = self.master.table().view(None);
        let mut locks = BTreeMap::new();
        for view in &views {
            for lock in &view.locks {
                locks.insert((lock.session, lock.lock), (view.name.clone(), lock));
            }
        }
        let answers: Vec<(SessionId, OpId, Status)> = out
            .iter()
            .filter_map(|output| match output {
                SlotOutput::Table(Output::Done {
                    session,
                    op,
                    status,
                    ..
                }) => Some((*session, *op, *status)),
                _ => None,
            })
            .collect();
        let was = |session, op| {
            let mut found = answers.iter();
            found
                .find(|it| (it.0, it.1) == (session, op))
                .map(|it| it.2)
        };
        let mut expected = 0;
        for (session, claim) in claimed {
            let found = locks.get(&(*session, claim.lock));
            match claim.stands {
                Stands::Granted { mode, unanswered } => {
                    let held = found.and_then(|(_, lock)| lock.granted);
                    prop_assert_eq!(held, Some(mode), "{:?}", claim);
                    let answer = unanswered.map(|op| was(*session, op));
                    prop_assert!(answer.is_none_or(|it| it == Some(Status::Granted)));
                }
                Stands::Converting { op, held, .. } => {
                    let (_, lock) = found.ok_or_else(|| TestCaseError::fail("forgotten"))?;
                    let answer = was(*session, op);
                    let waits = lock.queue == Queue::Converting;
                    prop_assert_eq!(answer.is_none(), waits, "{:?}", claim);
                    prop_assert!(
                        answer == Some(Status::Granted)
                            || lock.granted == Some(held)
                            || lock.granted == Some(Mode::Nl)
                    );
                    prop_assert!(!closed || answer != Some(Status::Granted), "closed");
                }
                Stands::Waiting { op, .. } => {
                    let (_, lock) = found.ok_or_else(|| TestCaseError::fail("forgotten"))?;
                    let answer = was(*session, op);
                    prop_assert_eq!(answer.is_none(), lock.granted.is_none(), "{:?}", claim);
                    prop_assert!(!closed || answer.is_none(), "closed");
                }
                Stands::Unlocked { op, ends } => {
                    prop_assert!(found.is_none());
                    for op in ends.into_iter().chain([op]) {
                        prop_assert_eq!(was(*session, op), Some(Status::Unlocked));
                    }
                    continue;
                }
            }
            expected += 1;
        }
        prop_assert_eq!(locks.len(), expected, "a lock that nobody claimed");
        Ok(())
    }

    /// What was told its position has it still, and what waits does so in that order.
    fn check_positions(&self, claimed: &[(SessionId, Claim)]) -> Checked {
        let views = self.master.table().view(None);
        let mut locks = BTreeMap::new();
        for view in &views {
            for lock in &view.locks {
                locks.insert((lock.session, lock.lock), lock);
            }
        }
        for view in &views {
            for queue in [Queue::Converting, Queue::Waiting] {
                let waits = view.locks.iter().filter(|lock| lock.queue == queue);
                let plain = waits.filter(|lock| !lock.flags.contains(F::HEADQUE));
                let serials: Vec<u64> = plain.map(|lock| lock.serial).collect();
                prop_assert!(serials.is_sorted(), "{:?}", serials);
            }
        }
        for (session, claim) in claimed {
            if let (Some(serial), Some(lock)) = (claim.serial(), locks.get(&(*session, claim.lock)))
            {
                let arrives_again = matches!(claim.stands, Stands::Converting { .. });
                let stays = lock.queue == Queue::Granted || lock.serial == serial;
                prop_assert!(stays || arrives_again, "{:?}", claim);
            }
        }
        Ok(())
    }

    /// A value is what it was, or what somebody sent, or not valid; and it is kept where somebody who
    /// kept writers out knows it.
    fn check_values(&self, before: &[ResourceDetail], claimed: &[(SessionId, Claim)]) -> Checked {
        for now in self.master.table().detail(None) {
            let was = before.iter().find(|it| it.name == now.name);
            let was_value = was.and_then(|it| it.value.clone());
            let is_claimed = claimed.iter().any(|(_, claim)| {
                claim.name == now.name && !matches!(claim.stands, Stands::Unlocked { .. })
            });
            let Some(value) = now.value else {
                // Where nobody was told that he has a lock, nobody was told that there is a value.
                let lost = was_value.is_some() && is_claimed;
                prop_assert!(!lost, "lost in silence: {:?}, {:?}", was, claimed);
                continue;
            };
            let kept = was.is_some_and(|it| it.value_valid) && was_value.as_ref() == Some(&value);
            let sent = self
                .sent
                .contains(&(now.name.as_bytes().to_vec(), padded(&value)));
            prop_assert!(
                !now.value_valid || kept || sent,
                "{:?}, was {:?}",
                value,
                was
            );
            let mut knows = claimed.iter().filter(|(_, claim)| {
                let known = claim.value.as_ref();
                claim.name == now.name
                    && claim.held() > Some(Mode::Cr)
                    && claim.held() == claim.granted
                    && known.is_some_and(|it| it.valid && it.sequence == claim.value_sequence)
                    && matches!(
                        claim.stands,
                        Stands::Granted {
                            unanswered: None,
                            ..
                        }
                    )
            });
            let marked = claimed
                .iter()
                .any(|(_, claim)| claim.flags.contains(F::IVVALBLK));
            let unlocks = claimed
                .iter()
                .any(|(_, claim)| matches!(claim.stands, Stands::Unlocked { .. }));
            prop_assert!(
                now.value_valid || marked || unlocks || knows.next().is_none(),
                "kept"
            );
        }
        Ok(())
    }

    fn check_nobody_waits_for_nothing(&self) -> Checked {
        let checked = invariants::check(self.master.table());
        prop_assert!(checked.is_ok(), "{checked:?}");
        Ok(())
    }

    fn move_as_planned(&mut self) -> Checked {
        let before = self.master.table().detail(None);
        let epoch = Epoch(self.master.epoch().0 + 1);
        let begin = begin(self.slot, epoch, self.clients.keys().copied());
        let mut asked = Vec::new();
        let mut next = SlotMaster::arrive(CONFIG, &begin, &mut asked);
        let streams = Vec::new();
        let mut out = self.step(SlotInput::Leave { streams });
        while let Some(SlotOutput::Image(chunk)) = out.pop() {
            let mut told = Vec::new();
            next.step(self.now, SlotInput::Image(chunk), &mut told);
            if let Some(SlotOutput::ImageWanted { chunk }) = told.last() {
                out = self.step(SlotInput::ImageWanted { chunk: *chunk });
            }
        }
        prop_assert_eq!(next.phase(), PhaseName::Serving);
        prop_assert_eq!(next.table().detail(None), before);
        let (now, was) = (next.table().view(None), self.master.table().view(None));
        prop_assert_eq!(now, was);
        self.master = next;
        Ok(())
    }
}

fn begin(slot: SlotId, epoch: Epoch, sessions: impl Iterator<Item = SessionId>) -> Begin {
    let options = LockspaceOptions {
        value_length: ValueLength::new(8).expect("a length"),
        breaks_deadlocks: false,
    };
    let member = |session| Member {
        session,
        lockspaces: vec![LOCKSPACE],
        standing: Standing::Live,
    };
    Begin {
        slot,
        epoch,
        lockspaces: vec![(LOCKSPACE, options)],
        members: sessions.map(member).collect(),
    }
}

fn join(master: &mut SlotMaster, session: SessionId) {
    let mut out = Vec::new();
    let options = LockspaceOptions {
        value_length: ValueLength::new(8).expect("a length"),
        breaks_deadlocks: false,
    };
    master.step(Tick(0), SlotInput::Joined { session }, &mut out);
    let opened = SlotInput::LockspaceOpened {
        session,
        lockspace: LOCKSPACE,
        options,
    };
    master.step(Tick(0), opened, &mut out);
    assert_eq!(out, []);
}

fn run(ops: &[Op]) -> Checked {
    let mut world = World::new();
    for op in ops {
        world.run(op)?;
    }
    world.lose(None)
}

/// `GLOCKWORK_LONG=1` runs a hundred times as many.
fn long() -> bool {
    std::env::var_os("GLOCKWORK_LONG").is_some_and(|value| value == "1")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if long() { 60_000 } else { 600 }))]

    #[test]
    fn a_slot_is_what_its_clients_were_told(ops in vec(op(), 1..80)) {
        run(&ops)?;
    }
}
