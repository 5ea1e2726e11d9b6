//! The HTTP port: the page and what programs get, who is refused, and what those are told who listen.

use std::net::SocketAddr;

use dlm_core::{Mode, Status};
use dlm_server::embedded::{Server, Settings};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::raw::{PATIENCE, Raw, Told};

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

async fn with_page() -> (Server, SocketAddr) {
    let settings = Settings {
        http_listen: Some(ANY.into()),
        ..Settings::alone(ANY.into())
    };
    let server = Server::start_with(&settings).await.unwrap();
    let at = server.http_addr().expect("it has a page");
    (server, at)
}

async fn said(at: SocketAddr, request: &str) -> String {
    let asking = async {
        let mut stream = TcpStream::connect(at).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await?;
        Ok::<_, std::io::Error>(reply)
    };
    timeout(PATIENCE, asking).await.expect("in time").unwrap()
}

async fn get(at: SocketAddr, path: &str) -> String {
    said(at, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).await
}

/// What comes after the headers.
fn body(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").expect("a head and a body").1
}

/// Two sessions that wait for each other. Both are raw: they do not say which tasks they have.
async fn deadlock(server: &Server) -> [Raw; 2] {
    let mut a = Raw::join(server, "<b>a</b>").await;
    let mut b = Raw::join(server, "b").await;
    a.hold(1, "left", Mode::Ex).await;
    b.hold(1, "right", Mode::Ex).await;
    a.request(2, "right", Mode::Ex).await;
    a.queued(2).await;
    assert_eq!(b.told().await, Told::Blocking(1, Mode::Ex));
    b.request(2, "left", Mode::Ex).await;
    b.queued(2).await;
    [a, b]
}

#[tokio::test]
async fn it_has_what_a_browser_and_a_program_want() {
    let (server, at) = with_page().await;
    for (path, kind, has) in [
        ("/", "text/html", "</html>"),
        ("/page.css", "text/css", "prefers-color-scheme: dark"),
        ("/page.js", "text/javascript", "EventSource"),
        ("/icon.svg", "image/svg+xml", "</svg>"),
        ("/graph.svg", "image/svg+xml", "no deadlock, nobody waits"),
        (
            "/graph.json?lockspace=",
            "application/json",
            "\"cycles\": []",
        ),
        ("/status.json", "application/json", "\"leader\": 1"),
        ("/health", "text/plain", "serving\n"),
        ("/metrics", "openmetrics-text", "# EOF\n"),
    ] {
        let reply = get(at, path).await;
        assert!(reply.starts_with("HTTP/1.1 200 OK"), "{path}: {reply}");
        assert!(
            reply.contains(kind) && body(&reply).contains(has),
            "{reply}"
        );
        for header in [
            "content-security-policy: default-src 'none'; ",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(reply.contains(header), "{path} lacks {header}: {reply}");
        }
    }
    let head = said(at, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 OK") && body(&head).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn what_it_has_not_and_what_it_does_not_do() {
    let (server, at) = with_page().await;
    for (request, answer, has) in [
        ("GET /no HTTP/1.1\r\nHost: a\r\n\r\n", "404", "there is /,"),
        (
            "GET /graph.json?lockspace=none HTTP/1.1\r\nHost: a\r\n\r\n",
            "404",
            "no lockspace \"none\" is open",
        ),
        (
            "GET /graph.svg?lockspace=%ff HTTP/1.1\r\nHost: a\r\n\r\n",
            "400",
            "lockspace is not a text in UTF-8",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "405",
            "only GET and HEAD",
        ),
        ("nonsense\r\n\r\n", "400", ""),
    ] {
        let reply = said(at, request).await;
        let status = format!("HTTP/1.1 {answer}");
        assert!(reply.starts_with(&status), "{request}: {reply}");
        assert!(body(&reply).contains(has), "{request}: {reply}");
    }
    let long = "a".repeat(1 << 20);
    let request = format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut stream = TcpStream::connect(at).await.unwrap();
    // It may be refused before all of it was sent.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut reply = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut reply)).await;
    assert!(!reply.starts_with(b"HTTP/1.1 200"));
    server.stop().await;
}

#[tokio::test]
async fn where_metrics_alone_are_wanted_there_is_no_page() {
    let settings = Settings {
        metrics_listen: Some(free()),
        ..Settings::alone(ANY.into())
    };
    let at = settings.metrics_listen.expect("given");
    let server = Server::start_with(&settings).await.unwrap();
    assert_eq!(server.http_addr(), None);
    let text = get(at, "/metrics").await;
    assert!(
        text.contains("\nglockwork_slots{phase=\"serving\"} "),
        "{text}"
    );
    for path in ["/", "/graph.json", "/events", "/health"] {
        let reply = get(at, path).await;
        assert!(reply.starts_with("HTTP/1.1 404"), "{path}: {reply}");
    }
    server.stop().await;
}

#[tokio::test]
async fn what_happened_to_a_resource_is_told() {
    let (server, at) = with_page().await;
    let sessions = deadlock(&server).await;
    let page = get(at, "/").await;
    let link = "href=\"history?lockspace=test&amp;name=left\"";
    assert!(body(&page).contains(link), "{page}");
    let path = "/history?lockspace=test&name=left";
    let whole = get(at, path).await;
    assert!(body(&whole).contains("</html>"), "{whole}");
    let part = get(at, &format!("{path}&part")).await;
    let part = body(&part);
    assert!(
        !part.contains("</html>") && whole.contains("remembers"),
        "{part}"
    );
    for event in ["granted", "waits", "callback"] {
        assert!(part.contains(event), "{event}: {part}");
    }
    let none = get(at, "/history?lockspace=none&name=left&part").await;
    assert!(body(&none).contains("no lockspace"), "{none}");
    let long = format!("/history?name={}", "a".repeat(65));
    let long = get(at, &long).await;
    assert!(long.starts_with("HTTP/1.1 400"), "{long}");
    drop(sessions);
    server.stop().await;
}

/// What a scrape has, and what the document's table has; both are all there is.
#[tokio::test]
async fn all_metrics_are_documented_and_no_others_are() {
    let (server, at) = with_page().await;
    let text = get(at, "/metrics").await;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let mut served: Vec<String> = types
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, "info") => format!("{name}_info"),
            (name, _) => name.to_owned(),
        })
        .collect();
    served.sort();
    let document = include_str!("../../../docs/operations.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let names = rows.filter_map(|row| row.split(['`', '{']).next());
    let of_server =
        |name: &&str| name.starts_with("glockwork_") && !name.starts_with("glockwork_node_");
    let is_metric = |name: &&str| of_server(name) || name.starts_with("process_");
    let mut documented: Vec<&str> = names.filter(is_metric).collect();
    documented.sort_unstable();
    assert_eq!(served, documented);
    for name in &served {
        let is_plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let has_unit = ["_ms", "_us", "_millis", "_minutes"];
        assert!(
            is_plain && !has_unit.iter().any(|unit| name.ends_with(unit)),
            "{name}"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn waits_denials_and_callbacks_are_counted() {
    let (server, at) = with_page().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    a.hold(1, "r", Mode::Ex).await;
    b.request(1, "r", Mode::Ex).await;
    b.queued(1).await;
    assert_eq!(a.told().await, Told::Blocking(1, Mode::Ex));
    a.unlock(1).await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
    let granted = Told::Done(1, Status::Granted, Some(Mode::Ex));
    assert_eq!(b.told().await, granted);
    assert!(!a.could_get("r", Mode::Pr).await);
    let text = get(at, "/metrics").await;
    for line in [
        "glockwork_grant_wait_seconds_count 1",
        "glockwork_blocking_callbacks_total 1",
        "glockwork_denials_total{reason=\"try\"} 1",
    ] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
    server.stop().await;
}

/// An address that was free a moment ago.
fn free() -> SocketAddr {
    let taken = std::net::TcpListener::bind(SocketAddr::from(ANY)).unwrap();
    taken.local_addr().unwrap()
}

#[tokio::test]
async fn a_deadlock_is_shown_and_names_stay_names() {
    let (server, at) = with_page().await;
    let sessions = deadlock(&server).await;
    let page = get(at, "/").await;
    let page = body(&page);
    assert!(page.contains("Deadlock of 2 tasks"), "{page}");
    assert!(page.contains("stroke=\"#b01c1c\""), "{page}");
    assert!(page.contains("&lt;b&gt;a&lt;/b&gt;") && !page.contains("<b>a</b>"));
    let graph = get(at, "/graph.json").await;
    let graph: Value = serde_json::from_str(body(&graph)).unwrap();
    assert_eq!(graph["cycles"].as_array().unwrap().len(), 1, "{graph}");
    drop(sessions);
    server.stop().await;
}

/// Somebody who listens.
struct Listener(Lines<BufReader<TcpStream>>);

impl Listener {
    async fn new(at: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let request = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n";
        stream.write_all(request).await.unwrap();
        Self(BufReader::new(stream).lines())
    }

    /// Reads on until a line has this. Lines of chunks' lengths are between them, which is no matter.
    async fn until(&mut self, has: &str) -> String {
        let reading = async {
            loop {
                let line = self.0.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("no line has {has}"));
                if line.contains(has) {
                    return line;
                }
            }
        };
        timeout(PATIENCE, reading).await.expect("it comes")
    }
}

#[tokio::test]
async fn those_who_listen_are_told_what_changes() {
    let (server, at) = with_page().await;
    let mut listener = Listener::new(at).await;
    listener.until("text/event-stream").await;
    listener.until("event: status").await;
    listener.until("No deadlock; 0 waits").await;
    let [mut a, mut b] = deadlock(&server).await;
    listener.until("Deadlock of 2 tasks").await;
    let mut late = Listener::new(at).await;
    late.until("Deadlock of 2 tasks").await;
    b.unlock(1).await;
    while a.told().await != Told::Done(2, Status::Granted, Some(Mode::Ex)) {}
    listener.until("No deadlock; 1 wait").await;
    server.stop().await;
}

#[tokio::test]
async fn so_many_may_listen_and_one_more_is_told_so() {
    let (server, at) = with_page().await;
    let mut there = Vec::new();
    for _ in 0..32 {
        let mut listener = Listener::new(at).await;
        listener.until("HTTP/1.1 200").await;
        there.push(listener);
    }
    let refused = get(at, "/events").await;
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("32 pages are open already"), "{refused}");
    let text = get(at, "/metrics").await;
    assert!(text.contains("\nglockwork_http_listeners 32\n"), "{text}");
    server.stop().await;
    // They end with the server.
    let mut rest = String::new();
    let mut last = there.pop().expect("a listener").0.into_inner();
    let reading = timeout(PATIENCE, last.read_to_string(&mut rest));
    reading.await.expect("it ends").ok();
}
