//! Claims that make no sense, and claims that cannot all be true.
//!
//! Either is a fault of a client, or of somebody who writes one, and must not stop the others: the session
//! is evicted, loudly. Of two locks that exclude each other the one with the older token goes, since the
//! newer grant was made when the older one was gone. All claims of an evicted session are dropped, and
//! what it may hold is unknown until it is purged.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use super::claim::{Claim, Stands};
use crate::flags::RequestFlags;
use crate::ids::{Epoch, LockId, LockspaceId, ResourceName, SessionId, Token};
use crate::limits::Limits;
use crate::mode::Mode;
use crate::slot::SlotId;
use crate::table::restore::base;
use crate::value::ValueLength;

/// The claims of all sessions.
pub(super) type Claims = BTreeMap<SessionId, Vec<Claim>>;

/// What is wrong with a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimFault {
    /// The resource is not in this slot.
    OtherSlot,
    /// The session has not opened the lockspace.
    LockspaceNotOpen,
    /// The lock was claimed before.
    LockTwice,
    /// It holds a mode under a token that was never given out, or more than was granted under it.
    Token,
    /// It waits at a position that was never given out.
    Position,
    /// It waits, and its flags say that it does not.
    Flags,
    /// A value is longer than the lockspace's.
    ValueLength,
    /// The session claims more locks, or all together more resources, than there may be.
    TooMany,
    /// The session had said that this was all, or had nothing to claim.
    NotAsked,
}

/// Why a session is to be evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EvictReason {
    /// It renews its lease and did not say what it has in the slot.
    NoAnswer,
    /// A claim makes no sense.
    Fault {
        /// Of this lock.
        lock: LockId,
        /// Why.
        fault: ClaimFault,
    },
    /// Two locks cannot both be held; its own one has the older token.
    Excluded {
        /// The lockspace of the resource.
        lockspace: LockspaceId,
        /// The resource.
        name: ResourceName,
        /// Its lock: number, mode, token.
        lock: (LockId, Mode, Token),
        /// Whose lock excludes it; its own, where it claims two that exclude each other.
        by: SessionId,
        /// That lock: number, mode, token.
        other: (LockId, Mode, Token),
    },
}

impl fmt::Display for EvictReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str("it did not say which locks it has"),
            Self::Fault { lock, fault } => {
                write!(f, "its claim of lock {} makes no sense: {fault:?}", lock.0)
            }
            Self::Excluded {
                lockspace,
                name,
                lock,
                by,
                other,
            } => write!(
                f,
                "lockspace {}, {name}: it claims lock {} in {} under token {}, which excludes lock {} \
                 of session {} in {} under token {}",
                lockspace.0, lock.0.0, lock.1, lock.2.0, other.0.0, by.0, other.1, other.2.0
            ),
        }
    }
}

/// What a claim is checked against.
pub(super) struct Bounds<'a> {
    pub(super) slot: SlotId,
    pub(super) epoch: Epoch,
    pub(super) limits: &'a Limits,
    pub(super) open: &'a BTreeSet<LockspaceId>,
}

impl Bounds<'_> {
    /// Whether a claim makes sense, behind `before` others.
    pub(super) fn check(
        &self,
        claim: &Claim,
        before: usize,
        length: ValueLength,
    ) -> Result<(), ClaimFault> {
        if SlotId::of(claim.lockspace, &claim.name) != self.slot {
            return Err(ClaimFault::OtherSlot);
        }
        if !self.open.contains(&claim.lockspace) {
            return Err(ClaimFault::LockspaceNotOpen);
        }
        if before >= self.limits.locks_per_session_max {
            return Err(ClaimFault::TooMany);
        }
        let new = base(self.epoch);
        if let Some(held) = claim.held() {
            let weaker = claim.granted.is_some_and(|mode| mode.is_down_to(held));
            if !weaker || claim.token.0 == 0 || claim.token.0 > new {
                return Err(ClaimFault::Token);
            }
        }
        if claim.serial().is_some_and(|serial| serial > new) {
            return Err(ClaimFault::Position);
        }
        let given = match &claim.stands {
            Stands::Converting { given, .. } => given.as_ref(),
            _ => None,
        };
        let waits = matches!(
            claim.stands,
            Stands::Converting { .. } | Stands::Waiting { .. }
        );
        if waits && claim.flags.contains(RequestFlags::NOQUEUE) {
            return Err(ClaimFault::Flags);
        }
        let known = claim.value.as_ref().map(|known| &known.bytes);
        let too_long = |value: &crate::ValueBlock| value.as_bytes().len() > length.bytes();
        if given.into_iter().chain(known).any(too_long) {
            return Err(ClaimFault::ValueLength);
        }
        Ok(())
    }
}

/// The sessions with a claim, and the claim, of one resource after the other.
pub(super) fn by_resource(claims: &Claims) -> Vec<(SessionId, &Claim)> {
    let all = claims
        .iter()
        .flat_map(|(&session, claims)| claims.iter().map(move |claim| (session, claim)));
    let mut all: Vec<(SessionId, &Claim)> = all.collect();
    all.sort_by(|(_, a), (_, b)| (a.lockspace, &a.name).cmp(&(b.lockspace, &b.name)));
    all
}

/// Takes out the sessions whose claims cannot be true together with newer ones, one after the other.
pub(super) fn resolve(claims: &mut Claims, limits: &Limits) -> Vec<(SessionId, EvictReason)> {
    let mut evicted = Vec::new();
    while let Some((session, why)) = first_conflict(claims, limits) {
        claims.remove(&session);
        evicted.push((session, why));
    }
    evicted
}

fn first_conflict(claims: &Claims, limits: &Limits) -> Option<(SessionId, EvictReason)> {
    let all = by_resource(claims);
    let same = |(_, a): &(SessionId, &Claim), (_, b): &(SessionId, &Claim)| {
        a.lockspace == b.lockspace && a.name == b.name
    };
    let mut resources = 0;
    for on_one in all.chunk_by(same) {
        resources += 1;
        if resources > limits.resources_max {
            let (session, claim) = on_one[0];
            let fault = ClaimFault::TooMany;
            let lock = claim.lock;
            return Some((session, EvictReason::Fault { lock, fault }));
        }
        if let Some(conflict) = excluded(on_one) {
            return Some(conflict);
        }
    }
    None
}

/// The first claim on a resource, from the newest token on, that a newer one excludes.
fn excluded(on_one: &[(SessionId, &Claim)]) -> Option<(SessionId, EvictReason)> {
    let held = on_one.iter();
    let mut held: Vec<(SessionId, &Claim, Mode)> = held
        .filter_map(|&(session, claim)| Some((session, claim, claim.held()?)))
        .collect();
    held.sort_by_key(|&(session, claim, _)| (core::cmp::Reverse(claim.token), session, claim.lock));
    // Of each mode the newest lock, and the newest one that was granted in PR or CW.
    let mut newest: [Option<(SessionId, &Claim)>; Mode::ALL.len()] = [None; Mode::ALL.len()];
    let mut shared: Option<(SessionId, &Claim)> = None;
    for (session, claim, mode) in held {
        let shares = matches!(mode, Mode::Pr | Mode::Cw) && claim.is_sure();
        let excludes = |other: Mode| newest[other as usize].filter(|_| !other.compatible(mode));
        let other_token = shared.filter(|(_, other)| shares && other.token != claim.token);
        let by = Mode::ALL.into_iter().find_map(excludes).or(other_token);
        if let Some((by, other)) = by {
            let other_mode = other.held().unwrap_or(mode);
            let why = EvictReason::Excluded {
                lockspace: claim.lockspace,
                name: claim.name.clone(),
                lock: (claim.lock, mode, claim.token),
                by,
                other: (other.lock, other_mode, other.token),
            };
            return Some((session, why));
        }
        newest[mode as usize].get_or_insert((session, claim));
        if shares {
            shared.get_or_insert((session, claim));
        }
    }
    None
}
