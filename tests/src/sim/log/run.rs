//! A whole run of one seed: servers and clients, faults, healing, and what must then be true.

use dlm_core::cluster::ClusterState;
use dlm_server::members::{Member, Members, ServerIdentity};
use dlm_server::storage::{ClusterId, Founding, Identity, MemoryStorage};

use super::super::faults::Coverage;
use super::super::network::Traffic;
use super::super::{Faults, Plan, ProcessId, World, report};
use super::{LogDisk, Part, Setup, server_at};
use crate::checkers::{Fact, Violation, check_safety, progress};

/// How many servers there are.
const SERVERS: u32 = 3;

/// How many clients.
const CLIENTS: u32 = 4;

/// How long things go wrong, in microseconds.
const PHASE_US: u64 = 5_000_000;

/// How long the run goes on when all is healed.
const HEALED_US: u64 = 5_000_000;

/// When all is healed, how long an answer may take: a few elections, of which votes may be split, and
/// clients that ask the wrong server first.
const ANSWER_US_MAX: u64 = 4_000_000;

/// How a run went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// A digest of all of it.
    pub trace: u64,
    /// What went wrong.
    pub coverage: Coverage,
    /// What the network did.
    pub traffic: Traffic,
    /// Calls that were answered.
    pub answered: u64,
}

fn world(seed: u64) -> World<Part> {
    let identity = |place: ProcessId| Identity {
        cluster: ClusterId(1),
        server: server_at(place),
        server_identity: ServerIdentity(u128::from(place.0) + 1000),
    };
    let places = (0..SERVERS).map(ProcessId);
    let members = Members::new(places.clone().map(|place| {
        let Identity {
            server,
            server_identity,
            ..
        } = identity(place);
        let member = Member {
            identity: server_identity,
            voter: true,
        };
        (server, member)
    }));
    let mut world = World::new(seed);
    world.loud = report::loud();
    for place in places {
        let identity = identity(place);
        let founding = Founding::Together(members.clone());
        let disk = LogDisk(Some(MemoryStorage::create(identity, founding)));
        world.add(Setup::Server(identity, SERVERS.into()), disk);
    }
    for _ in 0..CLIENTS {
        world.add(Setup::Client(SERVERS), LogDisk(None));
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
pub fn run(seed: u64) -> Result<Outcome, (Violation, Box<World<Part>>)> {
    let mut world = world(seed);
    let (servers, clients) = world.ids().partition(|id| id.0 < SERVERS);
    let faults = Faults {
        servers,
        clients,
        phase_us: PHASE_US,
        pause_us: 150_000,
        lasts_us_max: 2_000_000,
    };
    world.follow(&Plan::draw(seed, &faults));
    world.run(PHASE_US + HEALED_US);
    match check(&world) {
        Err(violation) => Err((violation, Box::new(world))),
        Ok(answered) => Ok(Outcome {
            trace: world.trace(),
            coverage: world.coverage,
            traffic: world.network.traffic,
            answered,
        }),
    }
}

/// Checks a run that is over, and says how many calls were answered.
fn check(world: &World<Part>) -> Result<u64, Violation> {
    let history = &world.history;
    check_safety(history)?;
    progress::check(history, world.now(), ANSWER_US_MAX)?;
    same_states(world)?;
    let entries = history.entries().iter();
    let answered = entries.filter(|entry| matches!(entry.fact, Fact::Answered { .. }));
    Ok(answered.count() as u64)
}

/// Servers that have applied as much as each other at the end have all of it alike.
fn same_states(world: &World<Part>) -> Result<(), Violation> {
    let states: Vec<&ClusterState> = world
        .ids()
        .filter_map(|id| match world.process(id)? {
            Part::Server(server) => Some(server.state()),
            Part::Client(_) => None,
        })
        .collect();
    let differ = states.iter().any(|one| {
        let mut others = states.iter();
        others.any(|other| one.applied() == other.applied() && one != other)
    });
    if !differ {
        return Ok(());
    }
    Err(Violation {
        property: "replicas",
        at: world.now(),
        resource: None,
        text: "two servers that have applied the same entry differ at the end".to_owned(),
    })
}
