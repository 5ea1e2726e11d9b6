//! A whole run of one seed: servers and clients, faults, healing, and what must then be true.

use std::collections::BTreeMap;

use dlm_core::SessionId;
use dlm_core::cluster::ClusterState;
use dlm_server::members::{Member, Members, ServerIdentity};
use dlm_server::storage::{ClusterId, Founding, Identity, MemoryStorage};

use super::super::faults::Coverage;
use super::super::log::{LogDisk, server_at};
use super::super::network::Traffic;
use super::super::{Faults, ProcessId, World, report};
use super::coverage::Covered;
use super::{
    Client, Course, Order, Part, Role, Sabotage, Server, Setup, TIMING, Tally, Taste, plan,
};
use crate::checkers::{Fact, Violation, check_safety, faultless, forgotten, progress};

/// How many servers there are.
const SERVERS: u32 = 3;

/// How many clients.
const CLIENTS: u32 = 4;

/// How long things go wrong, in microseconds.
const PHASE_US: u64 = 8_000_000;

/// How long the run goes on when all is healed; and how long before its end clients ask for nothing any
/// more.
const HEALED_US: u64 = 12_000_000;
const FINISH_US: u64 = 3_000_000;

/// When all is healed, how long an answer may take: there may have to be a leader first, then a session's
/// lease ends that was renewed a moment ago, then another one's that the masters evict for it, and then
/// those before in the queue have their turn.
const ANSWER_US_MAX: u64 = 10_000_000;

/// What a run is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scenario {
    /// Nothing goes wrong.
    pub calm: bool,
    /// What its faults are apt to; that of its seed where nothing is said.
    pub course: Option<Course>,
    /// What its clients are like; as its seed says where nothing is said.
    pub taste: Option<Taste>,
    /// What is wrong on purpose.
    pub sabotage: Option<Sabotage>,
}

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// A digest of all of it.
    pub trace: u64,
    /// What went wrong.
    pub coverage: Coverage,
    /// What the network did.
    pub traffic: Traffic,
    /// What took part.
    pub covered: Covered,
    /// Operations that were answered.
    pub answered: u64,
}

fn world(seed: u64, scenario: Scenario, tally: &Tally) -> World<Part> {
    let identity = |place: ProcessId| Identity {
        cluster: ClusterId(1),
        server: server_at(place),
        server_identity: ServerIdentity(u128::from(place.0) + 1000),
    };
    let places = (0..SERVERS).map(ProcessId);
    let members = Members::new(places.clone().map(|place| {
        let member = Member {
            identity: identity(place).server_identity,
            voter: true,
        };
        (server_at(place), member)
    }));
    let setup = |role| Setup {
        role,
        servers: SERVERS,
        taste: scenario.taste.unwrap_or_else(|| Taste::of(seed)),
        tally: tally.clone(),
        sabotage: scenario.sabotage,
    };
    let mut world = World::new(seed);
    world.loud = report::loud();
    for place in places {
        let identity = identity(place);
        let founding = Founding::Together(members.clone());
        let disk = LogDisk(Some(MemoryStorage::create(identity, founding)));
        world.add(setup(Role::Server(identity)), disk);
    }
    for _ in 0..CLIENTS {
        world.add(setup(Role::Client), LogDisk(None));
    }
    for id in world.ids() {
        world.start(id);
    }
    world
}

/// Runs a seed.
///
/// # Errors
/// What is not true of it, and its world for a report.
pub fn run(seed: u64, scenario: Scenario) -> Result<Outcome, (Violation, Box<World<Part>>)> {
    let tally = Tally::default();
    let mut world = world(seed, scenario, &tally);
    let (servers, clients) = world.ids().partition(|id| id.0 < SERVERS);
    let faults = Faults {
        servers,
        clients,
        phase_us: PHASE_US,
        pause_us: 250_000,
        lasts_us_max: 4_500_000,
    };
    let course = scenario.course.unwrap_or_else(|| Course::of(seed));
    let mut plan = plan::draw(seed, course, &faults);
    if scenario.calm {
        plan.faults.drain(..plan.faults.len() - 1);
    }
    world.follow(&plan);
    for client in faults.clients {
        world.order(PHASE_US + HEALED_US - FINISH_US, client, Order::Finish);
    }
    world.run(PHASE_US + HEALED_US);
    read_tables(&mut world);
    match check(&world) {
        Err(violation) => Err((violation, Box::new(world))),
        Ok(answered) => Ok(Outcome {
            trace: world.trace(),
            covered: tally.counts(&world.history),
            coverage: world.coverage,
            traffic: world.network.traffic,
            answered,
        }),
    }
}

/// Checks a run that is over, and says how many operations were answered.
fn check(world: &World<Part>) -> Result<u64, Violation> {
    let history = &world.history;
    check_safety(history)?;
    faultless::check(history)?;
    converged(world)?;
    progress::check(history, world.now(), ANSWER_US_MAX)?;
    forgotten::check(history)?;
    let entries = history.entries().iter();
    let answered = entries.filter(|entry| matches!(entry.fact, Fact::Ended { .. }));
    Ok(answered.count() as u64)
}

fn servers(world: &World<Part>) -> impl Iterator<Item = &Server> {
    world.ids().filter_map(|id| match world.process(id)? {
        Part::Server(server) => Some(&**server),
        Part::Client(_) => None,
    })
}

fn clients(world: &World<Part>) -> impl Iterator<Item = &Client> {
    world.ids().filter_map(|id| match world.process(id)? {
        Part::Server(_) => None,
        Part::Client(client) => Some(&**client),
    })
}

/// At the end everybody knows the same, all servers and sessions live, and every slot is served.
fn converged(world: &World<Part>) -> Result<(), Violation> {
    let not = |text: String| {
        Err(Violation {
            property: "converged",
            at: world.now(),
            resource: None,
            text,
        })
    };
    let states: Vec<&ClusterState> = servers(world).map(|server| server.node().state()).collect();
    if states.iter().any(|state| *state != states[0]) {
        return not("servers have other states at the end".to_owned());
    }
    let state = states[0];
    let running = state.running().count();
    if running != SERVERS as usize {
        return not(format!("{running} servers run by the log"));
    }
    let unserved = state.slots().find(|(_, slot)| !slot.serving);
    if let Some((slot, at)) = unserved {
        return not(format!("slot {} is not served: {at:?}", slot.number()));
    }
    if !state.moves_due().is_empty() {
        return not(format!("{} moves are due", state.moves_due().len()));
    }
    let mut theirs: Vec<SessionId> = clients(world).filter_map(Client::session).collect();
    theirs.sort_unstable();
    let known: Vec<SessionId> = state.sessions().keys().copied().collect();
    if theirs != known || known.len() != CLIENTS as usize {
        return not(format!(
            "clients are {theirs:?}, and servers know {known:?}"
        ));
    }
    Ok(())
}

/// Writes down what the masters' tables have at the end. A lock that is nobody's is one of a session that
/// is not there.
fn read_tables(world: &mut World<Part>) {
    let sessions: BTreeMap<SessionId, &Client> = clients(world)
        .filter_map(|client| Some((client.session()?, client)))
        .collect();
    let mut facts = Vec::new();
    for server in servers(world) {
        for master in server.node().masters() {
            let at = server.node().state().slot(master.slot());
            if at.epoch != master.epoch() {
                continue;
            }
            for resource in master.table().view(None) {
                for lock in resource.locks {
                    if let Some(client) = sessions.get(&lock.session) {
                        facts.push(Fact::InTable {
                            lock: client.lock(lock.lock),
                            resource: crate::checkers::Resource {
                                lockspace: resource.lockspace,
                                name: resource.name.clone(),
                            },
                            mode: lock.granted,
                        });
                    }
                }
            }
        }
    }
    facts.push(Fact::TablesRead);
    let first = ProcessId(0);
    for fact in facts {
        world.fact(first, fact);
    }
}

const _: () = assert!(FINISH_US < HEALED_US && ANSWER_US_MAX < HEALED_US);
const _: () = assert!(TIMING.session_lease_us * 2 < ANSWER_US_MAX);
