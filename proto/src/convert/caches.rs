//! What is read of a session's counts: by the server, and by whoever looks at the cluster.

use dlm_core::{LockspaceId, SessionId};

use crate::caches::{Cache, CacheCounters, Caches, SessionCache};
use crate::error::WireError;
use crate::limits::CACHES_PER_REPORT_MAX;
use crate::wire;

/// The caches of a cluster.
#[must_use]
pub fn caches_reply(wire: wire::CachesReply) -> Caches {
    let caches = wire.caches.into_iter().map(|one| SessionCache {
        session: SessionId(one.session),
        session_name: one.session_name,
        lockspace: one.lockspace,
        counters: counters(one.counters),
    });
    let silent = wire.silent.into_iter();
    Caches {
        caches: caches.collect(),
        silent: silent
            .map(|one| (SessionId(one.session), one.name))
            .collect(),
    }
}

pub(super) fn caches(wire: Vec<wire::Cache>) -> Result<Vec<Cache>, WireError> {
    let count = wire.len();
    if count > CACHES_PER_REPORT_MAX {
        return Err(WireError::CachesTooMany { count });
    }
    let caches = wire.into_iter().map(|one| Cache {
        lockspace: LockspaceId(one.lockspace),
        counters: counters(one.counters),
    });
    Ok(caches.collect())
}

fn counters(wire: Option<wire::CacheCounters>) -> CacheCounters {
    let wire = wire.unwrap_or_default();
    CacheCounters {
        glocks: wire.glocks,
        requests: wire.requests,
        hits: wire.hits,
        demotions: wire.demotions,
        callbacks: wire.callbacks,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;

    #[test]
    fn caches_come_back_as_they_were() {
        let all = Caches {
            caches: vec![SessionCache {
                session: SessionId(3),
                session_name: "node1".into(),
                lockspace: "volume".into(),
                counters: CacheCounters {
                    glocks: 1,
                    requests: 2,
                    hits: 3,
                    demotions: 4,
                    callbacks: 5,
                },
            }],
            silent: vec![(SessionId(4), "node2".into())],
        };
        assert_eq!(caches_reply(render::caches_reply(all.clone())), all);
    }

    #[test]
    fn a_session_has_so_many_lockspaces_and_no_more() {
        let many = |count| vec![wire::Cache::default(); count];
        assert!(caches(many(CACHES_PER_REPORT_MAX)).is_ok());
        let count = CACHES_PER_REPORT_MAX + 1;
        assert_eq!(caches(many(count)), Err(WireError::CachesTooMany { count }));
    }
}
