//! What this server does about an applied entry of the log.

use dlm_core::cluster::{Effect, Master, Origin};
use dlm_core::link::{FromServer, MasterPlace, PlaceOrigin, SlotMap, SlotPlace, StreamRefusal};
use dlm_core::recovery::SlotInput;
use dlm_core::{Epoch, SessionId, SlotId};

use super::Node;
use super::masters::{Key, Work};
use super::message::{Notice, Output};
use super::moves::Departure;

impl Node {
    /// What became different with an entry. The clients hear of slots first: what a server says of its
    /// slots comes before every event that follows from it.
    pub(super) fn heed_effects(&mut self, effects: Vec<Effect>, out: &mut Vec<Output>) {
        let changed = effects.iter().filter_map(|effect| match effect {
            Effect::SlotMoved { slot, .. } | Effect::SlotServes { slot, .. } => Some(*slot),
            _ => None,
        });
        let map = self.map(changed);
        if !map.slots.is_empty() {
            self.streams.tell_all(&FromServer::Map(map), out);
        }
        for effect in effects {
            self.heed_effect(effect, out);
        }
    }

    fn heed_effect(&mut self, effect: Effect, out: &mut Vec<Output>) {
        self.record_effect(&effect);
        match effect {
            Effect::SlotMoved {
                slot,
                epoch,
                before,
                master,
                origin,
            } => self.slot_moved((slot, epoch), (before, master), origin, out),
            Effect::SlotServes { slot, epoch } => self.drop_earlier(slot, epoch, None, out),
            Effect::SessionJoined { session } => self.all(&SlotInput::Joined { session }, out),
            Effect::SessionDied { session, why } => {
                self.is_news(Notice::Died { session, why }, out);
                self.drop_session(session, StreamRefusal::SessionDead, out);
                self.all(&SlotInput::Died { session }, out);
            }
            Effect::SessionPurged { session, dirty } => {
                self.drop_session(session, StreamRefusal::SessionUnknown, out);
                self.all(&SlotInput::Purged { session, dirty }, out);
            }
            Effect::LockspaceOpened { session, lockspace } => {
                let known = self.state.lockspaces().get(&lockspace);
                let options = known.map(|known| known.options.locks).unwrap_or_default();
                let opened = SlotInput::LockspaceOpened {
                    session,
                    lockspace,
                    options,
                };
                self.all(&opened, out);
                self.opened(session, out);
            }
            Effect::LockspaceLeft {
                session, lockspace, ..
            } => {
                // What it still held there in PW or EX may be half written, whoever says otherwise.
                self.all(&SlotInput::LockspaceLeft { session, lockspace }, out);
            }
            Effect::LockspaceEnded { lockspace } => {
                self.all(&SlotInput::LockspaceEnded { lockspace }, out);
            }
            Effect::FenceFailed { session, failures } => {
                self.is_news(Notice::FenceFailed { session, failures }, out);
            }
            // The leader looks at the state for what is to be fenced and replayed, and for who runs.
            Effect::FenceWanted { .. }
            | Effect::ReplayWanted(_)
            | Effect::MemberChanged { .. }
            | Effect::IncarnationStarted { .. }
            | Effect::IncarnationLost { .. } => {}
        }
    }

    /// To a process that is up. One that begins reads old entries of the log first.
    fn is_news(&self, notice: Notice, out: &mut Vec<Output>) {
        if self.incarnation.is_some() {
            out.push(Output::Log(notice));
        }
    }

    /// Something that all masters here have to know. It goes through the gate: it may free locks.
    fn all(&mut self, event: &SlotInput, out: &mut Vec<Output>) {
        let keys: Vec<Key> = self.masters.all.keys().copied().collect();
        for key in keys {
            self.work(key, Work::Event(event.clone()), out);
        }
    }

    fn drop_session(&mut self, session: SessionId, why: StreamRefusal, out: &mut Vec<Output>) {
        self.streams.drop_session(session, why, out);
        self.drop_work_of(session);
    }

    fn slot_moved(
        &mut self,
        (slot, epoch): Key,
        (before, master): (Option<Master>, Option<Master>),
        origin: Origin,
        out: &mut Vec<Output>,
    ) {
        let us = self.us();
        let goes = match (origin, master) {
            (Origin::Planned { from }, Some(to)) if us == Some(from) && before == us => {
                Some((Epoch(epoch.0 - 1), to.server))
            }
            _ => None,
        };
        self.drop_earlier(slot, epoch, goes.map(|(earlier, _)| earlier), out);
        if master.is_some() && master == us {
            self.begin(slot, out);
        }
        if let Some((earlier, to)) = goes {
            let departure = Departure {
                to,
                epoch,
                handed: None,
            };
            self.work((slot, earlier), Work::Leave(departure), out);
        }
        self.route_early(slot, out);
        self.wishes.hurry();
    }

    /// Drops a slot's tables of earlier epochs, all but the one that is about to be handed over.
    fn drop_earlier(
        &mut self,
        slot: SlotId,
        epoch: Epoch,
        but: Option<Epoch>,
        out: &mut Vec<Output>,
    ) {
        let keys = self.masters.all.range((slot, Epoch(0))..(slot, epoch));
        let keys = keys.map(|(&key, _)| key).filter(|key| Some(key.1) != but);
        for key in keys.collect::<Vec<_>>() {
            self.drop_master(key, out);
        }
    }

    /// This server's process, as the master of slots.
    pub(super) fn us(&self) -> Option<Master> {
        Some(Master {
            server: self.config.server,
            incarnation: self.incarnation?,
        })
    }

    /// What a client has to know of these slots.
    pub(super) fn map(&self, slots: impl Iterator<Item = SlotId>) -> SlotMap {
        SlotMap {
            index: self.state.applied(),
            slots: slots.map(|slot| self.place(slot)).collect(),
        }
    }

    fn place(&self, slot: SlotId) -> SlotPlace {
        let at = self.state.slot(slot);
        let master = at.master.and_then(|master| {
            let process = self.state.servers().get(&master.server)?.process()?;
            Some(MasterPlace {
                server: master.server,
                incarnation: master.incarnation,
                endpoint: process.endpoint.clone(),
            })
        });
        SlotPlace {
            slot,
            epoch: at.epoch,
            since: at.since,
            origin: match at.origin {
                Origin::Lost => PlaceOrigin::Lost,
                Origin::Planned { .. } => PlaceOrigin::Planned,
            },
            serving: at.serving,
            master,
        }
    }
}
