//! Which server masters which slot.
//!
//! Three rules, and nothing else moves a slot:
//!
//! 1. A slot whose master is lost goes at once to the server with the fewest slots, of several to the one
//!    with the lowest number. Nothing else moves then. So does a slot whose table was on its way from a
//!    server that is lost, but it stays where it was going to.
//! 2. A server that has two slots more than another, or is leaving, gives some of them away by planned
//!    moves, a few at a time ([`ClusterState::moves_due`]). The leader begins each.
//! 3. Only a slot that is served is moved with its table. One that is recovering is not: a client that has
//!    not answered yet would take the move for a planned one, and never answer.
//!
//! Each move bumps the epoch, and so does going to no master at all, where no server runs.

use alloc::vec::Vec;

use super::ClusterState;
use super::command::{CommandRefusal, Reply};
use super::effect::Effect;
use super::limits::{EPOCH_MAX, MOVES_MAX};
use super::servers::Role;
use crate::ids::{Epoch, Incarnation, LockspaceId, LogIndex, ServerId, SessionId};
use crate::slot::SlotId;

/// A server's process, as the master of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Master {
    /// Which server.
    pub server: ServerId,
    /// Which process of it.
    pub incarnation: Incarnation,
}

/// What a slot's master begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// With nothing: it asks the clients what they hold.
    Lost,
    /// With the table of the master before it, which may be itself where only the epoch changes.
    Planned {
        /// Which.
        from: Master,
    },
}

/// One slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Who masters it, where anybody does.
    pub master: Option<Master>,
    /// How often it has had another.
    pub epoch: Epoch,
    /// The entry that began the epoch. Sessions that joined before have to answer for what they hold.
    pub since: LogIndex,
    /// What the master began with.
    pub origin: Origin,
    /// Whether it has all of that, and serves.
    pub serving: bool,
}

impl Slot {
    /// A slot before the cluster's first server.
    pub const NEW: Self = Self {
        master: None,
        epoch: Epoch(0),
        since: LogIndex(0),
        origin: Origin::Lost,
        serving: false,
    };

    /// Whether the slot's table is on its way from one server to another.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        match self.origin {
            Origin::Planned { from } => !self.serving && Some(from) != self.master,
            Origin::Lost => false,
        }
    }
}

/// Whom the master of a slot that was lost asks, and what it must not give away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The live sessions that have to say what they hold.
    pub awaited: Vec<SessionId>,
    /// The dead ones that are not purged, with the lockspaces in which they may hold anything: resources
    /// there stay closed until they are. One that answered this master before it died holds what it said
    /// and is none of them.
    pub closed: Vec<(SessionId, Vec<LockspaceId>)>,
}

/// How many slots each server that may take some has, in the order of their numbers.
type Loads = Vec<(Master, usize)>;

impl ClusterState {
    /// One slot.
    #[must_use]
    pub fn slot(&self, slot: SlotId) -> &Slot {
        &self.slots[slot.index()]
    }

    /// All slots in order.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, &Slot)> {
        SlotId::all().zip(&self.slots)
    }

    /// Whom the master of a slot of origin [`Origin::Lost`] asks, as of now.
    #[must_use]
    pub fn recovery_of(&self, slot: SlotId) -> Recovery {
        let since = self.slot(slot).since;
        let mut recovery = Recovery::default();
        for (&id, session) in self.sessions.iter().filter(|(_, one)| one.joined < since) {
            if session.is_live() {
                recovery.awaited.push(id);
                continue;
            }
            let lockspaces: Vec<LockspaceId> = self.lockspaces_of(id).collect();
            if !lockspaces.is_empty() {
                recovery.closed.push((id, lockspaces));
            }
        }
        recovery
    }

    /// The moves that would make the assignment even and empty the servers that leave, as many as may begin
    /// now. The leader proposes [`Command::MoveSlot`](super::Command::MoveSlot) for each.
    #[must_use]
    pub fn moves_due(&self) -> Vec<(SlotId, Epoch, ServerId)> {
        let room = MOVES_MAX.saturating_sub(self.moves_under_way());
        let mut plan = self.clone_slots();
        let mut moves = Vec::new();
        while moves.len() < room {
            let Some((slot, to)) = self.next_move(&plan) else {
                break;
            };
            moves.push((slot, plan[slot.index()].epoch, to.server));
            let moved = &mut plan[slot.index()];
            moved.master = Some(to);
            moved.serving = false;
        }
        moves
    }

    /// How many tables are on their way.
    #[must_use]
    pub fn moves_under_way(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_moving()).count()
    }

    fn clone_slots(&self) -> Vec<Slot> {
        self.slots.clone()
    }

    /// Whether a server may take slots: it runs, and it is not leaving. Where all that run are leaving,
    /// they all may: a slot that is served by one of them is better than one that nobody serves.
    pub(super) fn takes_slots(&self, server: ServerId) -> bool {
        let stays = |one: &super::Server| one.role != Role::Leaving && one.process().is_some();
        let Some(asked) = self.servers.get(&server) else {
            return false;
        };
        stays(asked) || (asked.process().is_some() && !self.servers.values().any(stays))
    }

    fn loads(&self, slots: &[Slot]) -> Loads {
        let takers = self.running().filter(|one| self.takes_slots(one.server));
        takers
            .map(|one| {
                let has = slots.iter().filter(|slot| slot.master == Some(one));
                (one, has.count())
            })
            .collect()
    }

    /// The next move towards evenness: from a server that leaves, or from one with the most slots, to the
    /// one with the fewest. A source without a slot that is served is passed over.
    fn next_move(&self, slots: &[Slot]) -> Option<(SlotId, Master)> {
        let mut loads = self.loads(slots);
        let &(to, least) = loads.iter().min_by_key(|(_, count)| *count)?;
        loads.retain(|&(_, count)| count >= least + 2);
        // Stable, so that of equal ones the lowest number comes first.
        loads.sort_by_key(|&(_, count)| core::cmp::Reverse(count));
        let leaving = self.running().filter(|one| !self.takes_slots(one.server));
        let mut sources = leaving.chain(loads.into_iter().map(|(source, _)| source));
        let slot = sources.find_map(|source| {
            let movable =
                |slot: &Slot| slot.master == Some(source) && slot.serving && slot.epoch < EPOCH_MAX;
            SlotId::all().find(|slot| movable(&slots[slot.index()]))
        })?;
        Some((slot, to))
    }

    /// Gives a slot another master or epoch. One whose epochs have run out goes to nobody: its requests
    /// wait for ever, which is better than a token that comes twice.
    fn assign(
        &mut self,
        at: LogIndex,
        id: SlotId,
        master: Option<Master>,
        origin: Origin,
        effects: &mut Vec<Effect>,
    ) {
        let slot = &mut self.slots[id.index()];
        let before = slot.master;
        let exhausted = slot.epoch >= EPOCH_MAX;
        *slot = Slot {
            master: master.filter(|_| !exhausted),
            epoch: Epoch(slot.epoch.0 + u32::from(!exhausted)),
            since: at,
            origin,
            serving: false,
        };
        effects.push(Effect::SlotMoved {
            slot: id,
            epoch: slot.epoch,
            before,
            master: slot.master,
            origin,
        });
    }

    /// Gives a slot to the server with the fewest, which asks the clients; to nobody where none runs.
    fn place(&mut self, at: LogIndex, id: SlotId, loads: &mut Loads, effects: &mut Vec<Effect>) {
        let least = loads.iter_mut().min_by_key(|(_, count)| *count);
        let master = least.map(|(master, count)| {
            *count += 1;
            *master
        });
        self.assign(at, id, master, Origin::Lost, effects);
    }

    /// Gives the slots without a master to the servers, evenly.
    pub(super) fn place_masterless(&mut self, at: LogIndex, effects: &mut Vec<Effect>) {
        let mut loads = self.loads(&self.slots);
        if loads.is_empty() {
            return;
        }
        for id in SlotId::all() {
            let slot = self.slot(id);
            if slot.master.is_none() && slot.epoch < EPOCH_MAX {
                self.place(at, id, &mut loads, effects);
            }
        }
    }

    /// Recovers the slots that a lost process mastered, or whose table was on its way from it.
    pub(super) fn recover_slots_of(
        &mut self,
        at: LogIndex,
        lost: Incarnation,
        effects: &mut Vec<Effect>,
    ) {
        let mut loads = self.loads(&self.slots);
        for id in SlotId::all() {
            let slot = *self.slot(id);
            if slot.master.is_some_and(|master| master.incarnation == lost) {
                self.place(at, id, &mut loads, effects);
            } else if let Origin::Planned { from } = slot.origin
                && from.incarnation == lost
                && !slot.serving
            {
                self.assign(at, id, slot.master, Origin::Lost, effects);
            }
        }
    }

    /// A slot that is in this epoch, and can have one more.
    fn slot_in(&self, id: SlotId, epoch: Epoch) -> Result<&Slot, CommandRefusal> {
        let slot = self.slot(id);
        if slot.epoch != epoch {
            return Err(CommandRefusal::Epoch { now: slot.epoch });
        }
        if slot.epoch >= EPOCH_MAX {
            return Err(CommandRefusal::Exhausted);
        }
        Ok(slot)
    }

    /// A server's process that may take slots.
    fn taker(&self, server: ServerId) -> Result<Master, CommandRefusal> {
        let mut running = self.running();
        running
            .find(|one| one.server == server && self.takes_slots(server))
            .ok_or(CommandRefusal::NotRunning)
    }

    pub(super) fn move_slot(
        &mut self,
        at: LogIndex,
        id: SlotId,
        epoch: Epoch,
        to: ServerId,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        let slot = self.slot_in(id, epoch)?;
        let from = slot.master.filter(|_| slot.serving);
        let from = from.ok_or(CommandRefusal::NotServing)?;
        let to = self.taker(to)?;
        if from == to {
            return Err(CommandRefusal::SlotThere);
        }
        if self.moves_under_way() >= MOVES_MAX {
            return Err(CommandRefusal::Moves);
        }
        self.assign(at, id, Some(to), Origin::Planned { from }, effects);
        Ok(Reply::Done)
    }

    pub(super) fn recover_slot(
        &mut self,
        at: LogIndex,
        id: SlotId,
        epoch: Epoch,
        to: Option<ServerId>,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        let here = self.slot_in(id, epoch)?.master;
        let to = match to {
            Some(server) => self.taker(server)?,
            None => here.ok_or(CommandRefusal::NotRunning)?,
        };
        self.assign(at, id, Some(to), Origin::Lost, effects);
        Ok(Reply::Done)
    }

    pub(super) fn slot_epoch_exhausted(
        &mut self,
        at: LogIndex,
        id: SlotId,
        epoch: Epoch,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        let slot = self.slot_in(id, epoch)?;
        let from = slot.master.filter(|_| slot.serving);
        let from = from.ok_or(CommandRefusal::NotServing)?;
        self.assign(at, id, Some(from), Origin::Planned { from }, effects);
        Ok(Reply::Done)
    }

    pub(super) fn serving(
        &mut self,
        by: Incarnation,
        slots: &[(SlotId, Epoch)],
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        if self.server_of(by).is_none() {
            return Err(CommandRefusal::NotRunning);
        }
        for &(id, epoch) in slots {
            let slot = &mut self.slots[id.index()];
            let masters = slot.master.is_some_and(|master| master.incarnation == by);
            if masters && slot.epoch == epoch && !slot.serving {
                slot.serving = true;
                effects.push(Effect::SlotServes { slot: id, epoch });
            }
        }
        Ok(Reply::Done)
    }

    /// Takes every slot from its master and goes so many epochs on.
    pub(super) fn force_epochs(&mut self, at: LogIndex, by: u32, effects: &mut Vec<Effect>) {
        for id in SlotId::all() {
            let slot = &mut self.slots[id.index()];
            slot.epoch = Epoch(slot.epoch.0.saturating_add(by - 1).min(EPOCH_MAX.0));
            self.assign(at, id, None, Origin::Lost, effects);
        }
    }
}
