//! What is written of a session's counts.

use crate::caches::{Cache, CacheCounters, Caches};
use crate::wire;

/// The caches of a cluster.
#[must_use]
pub fn caches_reply(all: Caches) -> wire::CachesReply {
    let caches = all.caches.into_iter().map(|one| wire::SessionCache {
        session: one.session.0,
        session_name: one.session_name,
        lockspace: one.lockspace,
        counters: Some(counters(&one.counters)),
    });
    let silent = all.silent.into_iter();
    wire::CachesReply {
        caches: caches.collect(),
        silent: silent
            .map(|(session, name)| wire::SilentSession {
                session: session.0,
                name,
            })
            .collect(),
    }
}

pub(super) fn cache(cache: &Cache) -> wire::Cache {
    wire::Cache {
        lockspace: cache.lockspace.0,
        counters: Some(counters(&cache.counters)),
    }
}

const fn counters(counters: &CacheCounters) -> wire::CacheCounters {
    wire::CacheCounters {
        glocks: counters.glocks,
        requests: counters.requests,
        hits: counters.hits,
        demotions: counters.demotions,
        callbacks: counters.callbacks,
    }
}
