//! A session's glocks, page by page, as whoever dumps them gets them.

use std::collections::BTreeSet;

use dlm_client::glocks::{Glocks, HolderRequest};
use dlm_client::inspect::{self, NodeGlocks};
use dlm_client::{GlockName, Role, State};
use dlm_server::embedded::Server;
use glockwork_proto::GLOCKS_PER_PAGE_MAX;

use crate::stage::{Node, PLAIN, client, lockspace, request, server, servers};

async fn pages(server: &Server, session: Option<u64>) -> Vec<NodeGlocks> {
    let servers = servers(server);
    let mut glocks = inspect::glocks(&servers, None, session).await.unwrap();
    let mut pages = Vec::new();
    while let Some(page) = glocks.next_page().await.unwrap() {
        pages.push(page);
    }
    pages
}

/// Makes a glock cached that nobody holds.
async fn cache(glocks: &Glocks, number: u64) {
    let request = HolderRequest {
        name: GlockName::inode(number),
        ..request(State::Sh, PLAIN)
    };
    drop(glocks.lock_async(request).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_glock_of_every_node_once_whatever_a_page_holds() {
    let server = server().await;
    let a = Node::start(&server, "a").await;
    let b = Node::start(&server, "b").await;
    let _without_glocks = lockspace(&server, "c").await;
    let _without_a_lockspace = client(&server, "d").await;
    let count = GLOCKS_PER_PAGE_MAX as u64 + 10;
    for number in 0..count {
        cache(&a.glocks, number).await;
    }
    let owner = b.glocks.task("writer");
    let held = HolderRequest {
        owner,
        role: Role::Operation,
        name: GlockName::inode(count),
        ..request(State::Ex, PLAIN)
    };
    let _held = b.glocks.lock_async(held).await.unwrap();

    let all = pages(&server, None).await;
    let sizes: Vec<_> = all
        .iter()
        .map(|page| (&page.session_name[..], page.glocks.len(), page.silent))
        .collect();
    let max = GLOCKS_PER_PAGE_MAX;
    assert_eq!(
        sizes,
        [("a", max, false), ("a", 10, false), ("b", 1, false)]
    );
    let names: BTreeSet<_> = all
        .iter()
        .flat_map(|page| &page.glocks)
        .map(|glock| glock.dump.name)
        .collect();
    assert_eq!(names.len() as u64, count + 1);
    let held = &all[2].glocks[0];
    assert_eq!(held.dump.state, State::Ex);
    assert_eq!(held.tasks, [Some("writer".to_owned())]);
    assert!(
        held.object.as_ref().unwrap().starts_with("I: n:1/"),
        "{held:?}"
    );

    let only = pages(&server, Some(b.client.id().0)).await;
    assert_eq!((only.len(), &only[0].session_name[..]), (1, "b"));
}

/// Two tables over one lockspace have a glock each, and are one session.
#[tokio::test(flavor = "multi_thread")]
async fn two_tables_of_a_session_are_one_list() {
    let server = server().await;
    let a = Node::start(&server, "a").await;
    let lockspace = a.client.lockspace("volume").await.unwrap();
    let hooks = std::sync::Arc::clone(&a.hooks);
    let other = Glocks::new(
        &lockspace,
        hooks,
        dlm_client::glocks::GlockConfig::default(),
    );
    for number in 0..6 {
        let table = if number % 2 == 0 { &a.glocks } else { &other };
        cache(table, number).await;
    }
    cache(&a.glocks, 1).await;
    let all = pages(&server, None).await;
    let numbers: Vec<_> = all[0]
        .glocks
        .iter()
        .map(|glock| glock.dump.name.number)
        .collect();
    assert_eq!((all.len(), numbers), (1, vec![0, 1, 2, 3, 4, 5]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_said() {
    let server = server().await;
    let a = Node::start(&server, "a").await;
    let servers = servers(&server);
    for (lockspace, session, said) in [
        (Some("nowhere"), None, "no lockspace \"nowhere\" is open"),
        (Some("volume"), Some(99), "there is no session 99"),
    ] {
        let error = inspect::glocks(&servers, lockspace, session)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(said), "{error}");
    }
    assert!(pages(&server, None).await.is_empty());
    drop(a);
}
