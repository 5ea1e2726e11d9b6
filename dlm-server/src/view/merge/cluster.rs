//! The cluster's status, from what several servers say.

use std::collections::BTreeMap;

use glockwork_proto::wire;
use glockwork_proto::wire::blocked::By;

use crate::view::blocked::is_a_servers_own;

/// The status as the leader has it, where it is among the servers that answered, or else as the first one
/// does; with what each says of itself, and what its masters wait for.
#[must_use]
pub fn cluster(
    ours: wire::ClusterStatusReply,
    others: impl IntoIterator<Item = wire::ClusterStatusReply>,
) -> wire::ClusterStatusReply {
    let mut all: Vec<_> = std::iter::once(ours).chain(others).collect();
    // Who was deposed and does not know it yet counts leases, too; the one of the latest term leads.
    let leads = |one: &wire::ClusterStatusReply| one.leader == one.server && one.leader != 0;
    let term = |one: &wire::ClusterStatusReply| one.reports.first().map_or(0, |it| it.term);
    let base = (0..all.len()).filter(|&at| leads(&all[at]));
    let base = base.max_by_key(|&at| term(&all[at])).unwrap_or(0);
    let mut merged = all.swap_remove(base);
    let mut slots: BTreeMap<(i32, u64, u64, String), usize> = BTreeMap::new();
    for (at, one) in merged.blocked.iter().enumerate() {
        slots.insert(identity(one), at);
    }
    for other in all {
        merged.reports.extend(other.reports);
        let own = other.blocked.into_iter().filter(|one| {
            let by = By::try_from(one.by);
            by.is_ok_and(is_a_servers_own)
        });
        for one in own {
            if let Some(&at) = slots.get(&identity(&one)) {
                merged.blocked[at].slots += one.slots;
            } else {
                slots.insert(identity(&one), merged.blocked.len());
                merged.blocked.push(one);
            }
        }
    }
    merged.reports.sort_by_key(|report| report.server);
    merged
}

/// What two of them have in common that are about the same thing.
fn identity(one: &wire::Blocked) -> (i32, u64, u64, String) {
    (one.by, one.server, one.session, one.lockspace.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(server: u64, leader: u64, term: u64) -> wire::ClusterStatusReply {
        let report = wire::ServerReport {
            server,
            term,
            ..wire::ServerReport::default()
        };
        wire::ClusterStatusReply {
            leader,
            server,
            reports: vec![report],
            ..wire::ClusterStatusReply::default()
        }
    }

    #[test]
    fn the_newest_leader_is_believed_and_else_who_was_asked() {
        let merged = cluster(reply(2, 1, 5), [reply(3, 3, 6), reply(1, 1, 5)]);
        assert_eq!(merged.server, 3);
        let servers: Vec<_> = merged.reports.iter().map(|one| one.server).collect();
        assert_eq!(servers, [1, 2, 3]);
        assert_eq!(cluster(reply(2, 1, 5), [reply(3, 1, 5)]).server, 2);
        assert_eq!(cluster(reply(2, 0, 5), [reply(3, 0, 6)]).server, 2);
    }

    #[test]
    fn what_masters_wait_for_is_added_and_what_the_state_says_is_the_leaders() {
        let blocked = |by: By, session, slots| wire::Blocked {
            by: by.into(),
            session,
            slots,
            ..wire::Blocked::default()
        };
        let mut leader = reply(1, 1, 5);
        leader.blocked = vec![blocked(By::Fence, 7, 0), blocked(By::Reassert, 8, 3)];
        let mut other = reply(2, 1, 5);
        other.blocked = vec![
            blocked(By::Fence, 9, 0),
            blocked(By::Reassert, 8, 4),
            blocked(By::Reassert, 9, 1),
        ];
        let merged = cluster(other, [leader]);
        let expected = [
            blocked(By::Fence, 7, 0),
            blocked(By::Reassert, 8, 7),
            blocked(By::Reassert, 9, 1),
        ];
        assert_eq!(merged.blocked, expected);
    }
}
