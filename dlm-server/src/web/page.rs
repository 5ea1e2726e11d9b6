//! The page and its parts. Each part is made here alone: it is in the page as that is loaded, and in the event
//! that replaces it later.

use glockwork_views::graph::{GraphSnapshot, Lock, Resource, svg, text, time};
use glockwork_views::{ClusterServer, ClusterSession, ClusterStatus, Coverage};

use super::history::{Recent, address};
use super::sight::{Sight, Unseen};
use super::tables::{Cell, list, paragraph, table};
use crate::inspect::Look;

const PAGE: &str = include_str!("page.html");

/// The most rows of a table: more can be read in JSON, and not by people.
const ROWS_MAX: usize = 100;

/// The whole of it, as it is now, with what has happened to a resource.
pub(super) async fn whole<L: Look>(sight: &Sight<L>, history: &str) -> String {
    let (seen, drawn, recent) =
        tokio::join!(sight.status(), sight.graph(String::new()), sight.recent());
    let recent = match recent {
        Ok(events) => Recent::of(events).html(),
        Err(unseen) => paragraph("trouble", &unseen.to_string()),
    };
    // Nothing that is put in can have a mark in it: its angle brackets are escaped.
    PAGE.replace("<!--status-->", &status(seen))
        .replace("<!--graph-->", &graph(drawn))
        .replace("<!--recent-->", &recent)
        .replace("<!--history-->", history)
}

/// The servers, the sessions, and what does not go on.
pub(super) fn status(seen: Result<ClusterStatus, Unseen>) -> String {
    let status = match seen {
        Ok(status) => status,
        Err(unseen) => return paragraph("trouble", &unseen.to_string()),
    };
    let slots = &status.slots;
    let leader = match status.leader {
        Some(leader) => format!("server {leader} leads"),
        None => "no server leads".into(),
    };
    let others: String = [
        (slots.recovering, "recover"),
        (slots.moving, "move"),
        (slots.masterless, "have no master"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!(", {count} {what}"))
    .collect();
    let summary = format!("{leader}; {} slots are served{others}", slots.serving);
    let well = status.leader.is_some() && status.blocked.is_empty() && others.is_empty();
    [
        paragraph(if well { "summary" } else { "summary trouble" }, &summary),
        list("trouble", status.blocked.iter().map(ToString::to_string)),
        lacking(&status.coverage),
        servers(&status),
        sessions(&status.sessions),
    ]
    .concat()
}

fn lacking(coverage: &Coverage) -> String {
    list("trouble", coverage.complaints())
}

fn servers(status: &ClusterStatus) -> String {
    let row = |one: &ClusterServer| -> [Cell; 8] {
        let endpoint = one.endpoint.clone().unwrap_or_else(|| "down".into());
        let Some(report) = &one.report else {
            let nothing = || Cell::from("");
            return [
                one.server.into(),
                endpoint.into(),
                one.role.into(),
                "no answer".into(),
                nothing(),
                nothing(),
                nothing(),
                nothing(),
            ];
        };
        [
            one.server.into(),
            endpoint.into(),
            one.role.into(),
            report.raft.into(),
            report.serving.into(),
            report.streams.into(),
            report.locks.into(),
            report.waiting.into(),
        ]
    };
    let columns = [
        "server", "address", "member", "raft", "slots", "sessions", "locks", "waiting",
    ];
    let rows = status.servers.iter().map(row).collect();
    table("Servers", columns, rows, ROWS_MAX)
}

fn sessions(sessions: &[ClusterSession]) -> String {
    let row = |one: &ClusterSession| -> [Cell; 4] {
        let state = match one.death {
            None => one.state.to_owned(),
            Some(why) => format!("{}: {why}", one.state),
        };
        [
            one.session.into(),
            one.name.clone().into(),
            state.into(),
            one.lockspaces.join(", ").into(),
        ]
    };
    let columns = ["session", "name", "state", "lockspaces"];
    table(
        "Sessions",
        columns,
        sessions.iter().map(row).collect(),
        ROWS_MAX,
    )
}

/// Who waits for whom as a picture, the same in words, and what is waited for.
pub(super) fn graph(seen: Result<GraphSnapshot, Unseen>) -> String {
    let graph = match seen {
        Ok(graph) => graph,
        Err(unseen) => return paragraph("trouble", &unseen.to_string()),
    };
    let mut html = String::new();
    for cycle in 0..graph.cycles.len() {
        let lines = text::cycle(&graph, cycle);
        let title = format!("Deadlock of {}", counted(lines.len(), "task", "tasks"));
        html.push_str(&paragraph("summary deadlock", &title));
        html.push_str(&list("deadlock", lines));
    }
    if graph.cycles.is_empty() {
        let waits = counted(graph.edges.len(), "wait", "waits");
        html.push_str(&paragraph("summary", &format!("No deadlock; {waits}")));
    }
    if !graph.silent.is_empty() {
        let silent = graph.silent.join(", ");
        let text = format!("did not report their tasks in time: {silent}");
        html.push_str(&paragraph("trouble", &text));
    }
    html.push_str(&lacking(&graph.coverage));
    html.push_str(
        "<figure role=\"img\" aria-label=\"who waits for whom; the same is below in words\">",
    );
    html.push_str(&svg::render(&graph));
    html.push_str("</figure>\n");
    html.push_str(&resources(&graph));
    html
}

fn counted(count: usize, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}

/// What is waited for, and by whom. The rest is in JSON.
fn resources(graph: &GraphSnapshot) -> String {
    let contended = graph.resources.iter().filter(|one| one.is_contended());
    let rows: Vec<[Cell; 5]> = contended
        .flat_map(|resource| resource.locks.iter().map(move |lock| row(resource, lock)))
        .collect();
    let total = counted(graph.resources.len(), "resource", "resources");
    let caption = format!("What is waited for, of {total}");
    let columns = ["resource", "session", "granted", "wanted", "since"];
    table(&caption, columns, rows, ROWS_MAX)
}

fn row(resource: &Resource, lock: &Lock) -> [Cell; 5] {
    let mode = |mode: Option<_>| mode.map(|mode| resource.object.mode(mode));
    [
        Cell::Link {
            text: resource.object.to_string(),
            address: address(&resource.object),
        },
        lock.session_name.clone().into(),
        mode(lock.granted).unwrap_or_default().into(),
        mode(lock.requested).unwrap_or_default().into(),
        time(lock.age_us).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_each_part_and_nothing_from_elsewhere() {
        for mark in [
            "<!--status-->",
            "<!--graph-->",
            "<!--recent-->",
            "<!--history-->",
        ] {
            assert_eq!(PAGE.matches(mark).count(), 1, "{mark}");
        }
        for elsewhere in ["http:", "https:", "//", " on", "style="] {
            assert!(!PAGE.contains(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn what_cannot_be_seen_says_so_in_its_place() {
        assert!(graph(Err(Unseen::Stuck)).contains("did not answer"));
        assert!(status(Err(Unseen::NotText("<b>"))).contains("&lt;b&gt;"));
    }

    #[test]
    fn a_cluster_without_a_leader_is_in_trouble() {
        let html = status(Ok(ClusterStatus::default()));
        assert!(html.contains("trouble") && html.contains("no server leads"));
    }
}
