//! The recording of a node's death, played on a cluster of two masters and two sessions.
//!
//! The node dies with its locks and with the slots that it was the master of. What the other node saw of
//! the kernel's recovery it must see of ours, with one difference: the kernel lost the value of R5 without
//! a word, and ours keeps it, since the survivor held the lock in PR and knew it.

#[allow(dead_code, reason = "the property test of the core uses more of it")]
#[path = "../../dlm-server/core/tests/recovery/client.rs"]
mod client;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use client::Client;
use dlm_core::recovery::{Begin, Config, Member, SlotInput, SlotMaster, SlotOutput, Standing};
use dlm_core::{Epoch, Input, Limits, LockspaceOptions, Output, ResourceName, SessionId, SlotId};
use dlm_core::{LockId, Tick, invariants};
use tests::oracle::desk::{Desk, LOCKSPACE, Locks, SESSION};
use tests::oracle::{Answer, Event, Kernel, Operation, Scenario, read};

const SURVIVOR: SessionId = SESSION;
const DEAD: SessionId = SessionId(2);

const CONFIG: Config = Config {
    limits: Limits::DEFAULT,
    seed: 0,
    reassert_us_max: 1_000_000,
    waiting_per_session_max: 100,
};

/// The masters of all slots that have a resource, and what waits to be heard.
struct Cluster {
    now: Tick,
    masters: BTreeMap<SlotId, SlotMaster>,
    /// Which slots the node that dies is the master of.
    lost: Vec<SlotId>,
    slot_of: BTreeMap<(SessionId, LockId), SlotId>,
    survivor: Client,
    heard: BTreeMap<SessionId, Vec<Output>>,
}

fn slot(name: &str) -> SlotId {
    SlotId::of(
        LOCKSPACE,
        &ResourceName::new(name.as_bytes()).expect("a name"),
    )
}

impl Cluster {
    fn new() -> Self {
        let names = ["R1", "R2", "R3", "R4", "R5", "R6", "R7", "R8", "RNEW"];
        let lost: Vec<SlotId> = names[2..7].iter().map(|name| slot(name)).collect();
        let here = ["R1", "R2", "R8"].map(slot);
        assert!(
            here.iter().all(|slot| !lost.contains(slot)),
            "slots of their own"
        );
        let mut cluster = Self {
            now: Tick(0),
            masters: BTreeMap::new(),
            lost,
            slot_of: BTreeMap::new(),
            survivor: Client::new(),
            heard: BTreeMap::new(),
        };
        for slot in names.map(slot) {
            let (master, out) = recover(slot, Epoch(1), Vec::new());
            assert_eq!(out, [SlotOutput::Serving]);
            cluster.masters.insert(slot, master);
        }
        for session in [SURVIVOR, DEAD] {
            cluster.tell_all(&SlotInput::Joined { session });
            cluster.tell_all(&SlotInput::LockspaceOpened {
                session,
                lockspace: LOCKSPACE,
                options: LockspaceOptions::default(),
            });
        }
        cluster
    }

    fn tell_all(&mut self, input: &SlotInput) {
        let slots: Vec<SlotId> = self.masters.keys().copied().collect();
        for slot in slots {
            self.tell(slot, input.clone());
        }
    }

    fn tell(&mut self, slot: SlotId, input: SlotInput) {
        self.now = self.now.plus(1);
        let master = self.masters.get_mut(&slot).expect("a slot with a resource");
        let mut out = Vec::new();
        master.step(self.now, input, &mut out);
        invariants::check(master.table()).unwrap_or_else(|violation| panic!("{violation}"));
        self.hear(out);
    }

    fn hear(&mut self, out: Vec<SlotOutput>) {
        for output in out {
            let SlotOutput::Table(output) = output else {
                assert_eq!(output, SlotOutput::Serving);
                continue;
            };
            let (Output::Done { session, .. }
            | Output::Queued { session, .. }
            | Output::Blocking { session, .. }) = output
            else {
                continue;
            };
            if session == SURVIVOR {
                self.survivor.heard(&output);
            }
            self.heard.entry(session).or_default().push(output);
        }
    }

    fn operate(&mut self, operation: Input) {
        let (session, lock) = match &operation {
            Input::Request {
                session,
                lock,
                name,
                ..
            } => {
                let slot = SlotId::of(LOCKSPACE, name);
                self.slot_of.insert((*session, *lock), slot);
                (*session, *lock)
            }
            Input::Convert { session, lock, .. } | Input::Unlock { session, lock, .. } => {
                (*session, *lock)
            }
            other => panic!("the recording has no {other:?}"),
        };
        if session == SURVIVOR {
            self.survivor.sent(&operation);
        }
        let slot = self.slot_of[&(session, lock)];
        let epoch = self.masters[&slot].epoch();
        self.tell(slot, SlotInput::Operation { epoch, operation });
    }

    /// The node is lost: its slots recover elsewhere, while its session is dead and not purged.
    fn recover(&mut self) {
        let (claims, again) = self.survivor.claims();
        assert_eq!(again, []);
        let live = member(SURVIVOR, Standing::Live);
        let dead = member(DEAD, Standing::Dead);
        self.tell_all(&SlotInput::Died { session: DEAD });
        for slot in self.lost.clone() {
            let epoch = Epoch(2);
            let (master, out) = recover(slot, epoch, vec![live.clone(), dead.clone()]);
            assert_eq!(out, []);
            self.masters.insert(slot, master);
            let its = claims.iter();
            let its = its.filter(|claim| SlotId::of(claim.lockspace, &claim.name) == slot);
            let claims = its.cloned().collect();
            let done = true;
            let session = SURVIVOR;
            self.tell(
                slot,
                SlotInput::Claims {
                    session,
                    epoch,
                    claims,
                    done,
                },
            );
        }
    }
}

fn member(session: SessionId, standing: Standing) -> Member {
    Member {
        session,
        lockspaces: vec![LOCKSPACE],
        standing,
    }
}

fn recover(slot: SlotId, epoch: Epoch, members: Vec<Member>) -> (SlotMaster, Vec<SlotOutput>) {
    let begin = Begin {
        slot,
        epoch,
        lockspaces: vec![(LOCKSPACE, LockspaceOptions::default())],
        members,
    };
    let mut out = Vec::new();
    let master = SlotMaster::recover(Tick(0), CONFIG, &begin, &mut out);
    (master, out)
}

/// A node: its session's way to the cluster. The desk knows one session only.
struct Node {
    cluster: Rc<RefCell<Cluster>>,
    session: SessionId,
}

impl Node {
    fn take(&self) -> Vec<Output> {
        let mut cluster = self.cluster.borrow_mut();
        cluster.heard.remove(&self.session).unwrap_or_default()
    }
}

impl Locks for Node {
    fn step(&mut self, mut input: Input) -> Vec<Output> {
        if let Input::Request { session, .. }
        | Input::Convert { session, .. }
        | Input::Unlock { session, .. } = &mut input
        {
            *session = self.session;
        }
        self.cluster.borrow_mut().operate(input);
        self.take()
    }

    fn wait(&mut self, _ms: u64) {}
}

fn recording(name: &str) -> Scenario {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kernel-dlm");
    let scenarios = read(&data.join(name)).expect("a recording");
    scenarios.into_iter().next().expect("one scenario")
}

/// Plays these steps of the recording, which differ by nothing.
fn play(desk: &mut Desk<Node>, scenario: &Scenario, numbers: std::ops::RangeInclusive<u64>) {
    for step in &scenario.steps {
        if numbers.contains(&step.number) {
            let (ret, events) = desk.step(&step.operation);
            let lossy = step.text.contains("R5") && step.number == 25;
            let expected = if lossy {
                kept(&step.events)
            } else {
                step.events.clone()
            };
            let expected = Answer::new(&step.ret, &expected).to_string();
            assert_eq!(
                Answer::new(ret, &events).to_string(),
                expected,
                "{}",
                step.text
            );
        }
    }
}

/// The events with the value that the kernel lost.
fn kept(events: &[Event]) -> Vec<Event> {
    let mut events = events.to_vec();
    for event in &mut events {
        if let tests::oracle::What::Completion { value, .. } = &mut event.what
            && matches!(event.tag.as_str(), "a5" | "rR5")
        {
            assert_eq!(value.as_deref(), Some(""), "the kernel lost it");
            *value = Some("INIT2".to_owned());
        }
    }
    events
}

#[test]
fn a_survivor_sees_what_it_saw_of_the_kernel() {
    let cluster = Rc::new(RefCell::new(Cluster::new()));
    let [mut survivor, mut dead] = [SURVIVOR, DEAD].map(|session| {
        let cluster = Rc::clone(&cluster);
        Desk::new(Node { cluster, session })
    });
    let [node1, node2] = ["node_death.node1.jsonl", "node_death.node2.jsonl"].map(recording);
    play(&mut survivor, &node1, 1..=6);
    play(&mut dead, &node2, 1..=8);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kernel-dlm");
    let text = std::fs::read_to_string(data.join("node_death.node2.scenarios.txt"));
    let text = text.expect("the list of what the node did");
    for line in text.lines().skip(1 + 8) {
        let operation = Operation::parse(line).expect("an operation");
        let (_, events) = dead.step(&operation);
        let events = Answer::new("", &events).to_string();
        assert!(events.contains("ast(0"), "granted at once: {line}{events}");
    }
    play(&mut survivor, &node1, 7..=19);

    cluster.borrow_mut().recover();
    let early = survivor.locks().take();
    let is_answer = |output: &&Output| matches!(output, Output::Done { .. });
    assert_eq!(
        early.iter().filter(is_answer).count(),
        0,
        "closed until the purge"
    );
    survivor.hear(early);
    let (session, dirty) = (DEAD, true);
    let purged = SlotInput::Purged { session, dirty };
    cluster.borrow_mut().tell_all(&purged);
    let outputs = survivor.locks().take();
    let events = survivor.hear(outputs);
    let step = &node1.steps[19];
    assert_eq!((step.number, step.text.as_str()), (20, "wait 500"));
    let expected = kept(&step.events);
    let events = Answer::new("0", &events).to_string();
    assert_eq!(events, Answer::new("0", &expected).to_string());
    play(&mut survivor, &node1, 21..=35);
}
