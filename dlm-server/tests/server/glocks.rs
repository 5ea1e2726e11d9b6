//! Dumps of glocks: what the server makes of sessions that answer badly, or not at all.

use dlm_core::{Mode, ResourceName};
use dlm_server::embedded::Server;
use glockwork_proto::glocks::{Glock, GlocksPage, GlocksReport};
use glockwork_proto::link::ToServerFrame;
use glockwork_proto::wire::inspect_client::InspectClient;
use glockwork_proto::{convert, render, wire};

use crate::raw::{Raw, channel, resource, serve};

async fn pages(server: &Server) -> Vec<GlocksPage> {
    let mut client = InspectClient::new(channel(server).await);
    let stream = client.glocks(wire::GlocksRequest::default()).await;
    let mut stream = stream.unwrap().into_inner();
    let mut pages = Vec::new();
    while let Some(page) = stream.message().await.unwrap() {
        pages.push(convert::glocks_page(page).unwrap());
    }
    pages
}

fn glock(name: &str) -> Glock {
    Glock {
        name: resource(name),
        state: Mode::Pr,
        target: Mode::Pr,
        demanded: None,
        demanded_us: 0,
        flags: 0,
        references: 1,
        hold_ms: 0,
        holders: Vec::new(),
        holders_left_out: 0,
        object: None,
    }
}

async fn answer(of: &mut Raw, names: &[&str], more: bool) -> Option<ResourceName> {
    let query = of.glocks_query().await;
    let glocks = Some(GlocksReport {
        query: query.query,
        glocks: names.iter().map(|name| glock(name)).collect(),
        more,
        caches: Vec::new(),
    });
    let answer = render::to_server_frame(ToServerFrame {
        glocks,
        ..ToServerFrame::default()
    });
    of.link.send(answer).await;
    query.after
}

#[tokio::test]
async fn a_session_is_asked_for_what_follows_its_last_name() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let answers = async {
        assert_eq!(answer(&mut a, &["1", "2"], true).await, None);
        let after = Some(resource("2"));
        assert_eq!(answer(&mut a, &["3"], false).await, after);
    };
    let (pages, ()) = tokio::join!(pages(&server), answers);
    let sizes: Vec<_> = pages.iter().map(|page| page.glocks.len()).collect();
    assert_eq!(sizes, [2, 1]);
    assert!(
        pages
            .iter()
            .all(|page| page.session == a.session && !page.silent)
    );
}

/// One that says the same glocks again and again would be listened to for ever.
#[tokio::test]
async fn who_goes_back_or_does_not_answer_is_silent_and_who_has_gone_has_none() {
    let server = serve().await;
    let mut goes_back = Raw::join(&server, "goes back").await;
    let _deaf = Raw::join(&server, "deaf").await;
    let mut goes = Raw::join(&server, "goes").await;
    let answers = async {
        answer(&mut goes_back, &["1", "2"], true).await;
        answer(&mut goes_back, &["2"], true).await;
        goes.glocks_query().await;
        goes.goodbye().await;
    };
    let (pages, ()) = tokio::join!(pages(&server), answers);
    let said: Vec<_> = pages
        .iter()
        .map(|page| (&page.session_name[..], page.glocks.len(), page.silent))
        .collect();
    assert_eq!(
        said,
        [
            ("goes back", 2, false),
            ("goes back", 0, true),
            ("deaf", 0, true)
        ]
    );
}
