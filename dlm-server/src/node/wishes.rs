//! What this server wants put into the log. It is read off the server's own state and said to the leader
//! until the log has it, so that no message and no leader is too many to lose.
//!
//! What is new is said at once, and what is new after that with the next tick: each time costs an entry of
//! the log, and all of a lost server's slots are served within a few milliseconds. An entry for each of them
//! would keep the disks busy for longer than a lease.

use dlm_core::Tick;
use dlm_core::cluster::{ServerStarted, Versions};
use dlm_core::recovery::PhaseName;
use glockwork_proto::VersionRange;

use super::Node;
use super::config::ASK_AGAIN_US;
use super::masters::Key;
use super::message::{Output, PeerMessage, Proposal};

/// When to speak next.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    again: Tick,
    /// Not before then, however much there is that is new.
    not_before: Tick,
    hurried: bool,
    last: Vec<Proposal>,
}

impl Wishes {
    /// There may be something new.
    pub(super) const fn hurry(&mut self) {
        self.hurried = true;
    }

    /// Nobody has heard of any.
    pub(super) fn forget(&mut self) {
        self.last.clear();
        self.hurried = true;
    }
}

impl Node {
    /// Tells the leader, where there is one.
    pub(super) fn wish(&mut self, out: &mut Vec<Output>) {
        let again = self.wishes.again <= self.now;
        let hurried = self.wishes.hurried && self.wishes.not_before <= self.now;
        let Some(leader) = self.leader.filter(|_| again || hurried) else {
            return;
        };
        self.wishes.hurried = false;
        let wishes = self.wished();
        if wishes == self.wishes.last && !again {
            return;
        }
        self.wishes.again = self.now.plus(ASK_AGAIN_US);
        if !wishes.is_empty() {
            self.wishes.not_before = self.now.plus(self.config.timing.tick_us);
        }
        self.wishes.last.clone_from(&wishes);
        for proposal in wishes {
            self.send(leader, PeerMessage::Propose(proposal), out);
        }
    }

    fn wished(&mut self) -> Vec<Proposal> {
        // **A server announces itself, and serves only under the incarnation that the log gave it.**
        let Some(by) = self.incarnation else {
            let VersionRange { min, max } = VersionRange::OURS;
            return vec![Proposal::Started(ServerStarted {
                server: self.config.server,
                nonce: self.nonce,
                endpoint: self.config.endpoint.clone(),
                peer_endpoint: self.config.peer_endpoint.clone(),
                versions: Versions { min, max },
            })];
        };
        let state = &self.state;
        let is_now = |key: &Key| state.slot(key.0).epoch == key.1;
        let current = self.masters.all.iter().filter(|(key, _)| is_now(key));
        let in_phase = |phase: PhaseName| {
            let current = current.clone();
            let those = current.filter(move |(_, it)| it.master.phase() == phase);
            those.map(|(&key, _)| key)
        };
        let unsaid = |key: &Key| !state.slot(key.0).serving;
        let slots: Vec<Key> = in_phase(PhaseName::Serving).filter(unsaid).collect();
        let mut wishes = Vec::new();
        if !slots.is_empty() {
            wishes.push(Proposal::Serving { by, slots });
        }
        let broken = in_phase(PhaseName::Broken);
        wishes.extend(broken.map(|(slot, epoch)| Proposal::Recover { slot, epoch }));
        self.masters.tokens_low.retain(is_now);
        let low = self.masters.tokens_low.iter();
        wishes.extend(low.map(|&(slot, epoch)| Proposal::EpochExhausted { slot, epoch }));
        let lives = |session: &dlm_core::SessionId| {
            let known = state.sessions().get(session);
            known.is_some_and(dlm_core::cluster::Session::is_live)
        };
        self.masters.evict.retain(|session, _| lives(session));
        let evict = self.masters.evict.iter();
        wishes.extend(evict.map(|(&session, &why)| Proposal::Evict { session, why }));
        wishes
    }
}
