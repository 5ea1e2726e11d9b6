//! The lock server's page in a real browser: what it shows, that it is kept up to date without being loaded
//! again, and that nothing of it comes from elsewhere.

use std::net::SocketAddr;

use dlm_client::{Client, ConnectOptions, Lockspace, Mode, Servers};
use dlm_server::embedded::{Server, Settings};
use tests::browser::Browser;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

const ANY: ([u8; 4], u16) = ([127, 0, 0, 1], 0);

/// The colour of a deadlock, as the picture has it.
const RED_LINES: &str =
    r##"document.querySelectorAll('#graph svg path[stroke="#b01c1c"]').length"##;

/// A server with a page, and two sessions on it.
struct Stage {
    runtime: Runtime,
    server: Option<Server>,
    lockspaces: Vec<Lockspace>,
    _clients: Vec<Client>,
}

impl Stage {
    fn new(names: [&str; 2]) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let settings = Settings {
            http_listen: Some(SocketAddr::from(ANY)),
            ..Settings::alone(SocketAddr::from(ANY))
        };
        let server = runtime.block_on(Server::start_with(&settings));
        let server = server.expect("a lock server");
        let servers = Servers::parse(&server.addr().to_string()).expect("its address");
        let (mut clients, mut lockspaces) = (Vec::new(), Vec::new());
        for name in names {
            let options = ConnectOptions {
                servers: servers.clone(),
                name: name.into(),
            };
            runtime.block_on(async {
                let client = Client::connect(options).await.expect("a session");
                lockspaces.push(client.lockspace("jobs").await.expect("a lockspace"));
                clients.push(client);
            });
        }
        Self {
            runtime,
            server: Some(server),
            lockspaces,
            _clients: clients,
        }
    }

    fn origin(&self) -> String {
        let server = self.server.as_ref().expect("it runs");
        format!("http://{}/", server.http_addr().expect("a page"))
    }

    /// Each session holds one of these and waits for the other's.
    fn deadlock(&self, resources: [&'static str; 2]) -> Vec<JoinHandle<()>> {
        let held: Vec<_> = self
            .lockspaces
            .iter()
            .zip(resources)
            .map(|(lockspace, resource)| {
                let lock = lockspace.lock(resource, Mode::Ex);
                self.runtime.block_on(lock).expect("it is free")
            })
            .collect();
        let wanted = resources.into_iter().rev();
        let waits = self.lockspaces.iter().zip(held).zip(wanted);
        waits
            .map(|((lockspace, held), wanted)| {
                let lockspace = lockspace.clone();
                self.runtime.spawn(async move {
                    let _held = held;
                    let _both = lockspace.lock(wanted, Mode::Ex).await;
                    std::future::pending().await
                })
            })
            .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            self.runtime.block_on(server.stop());
        }
    }
}

#[test]
fn a_deadlock_is_red_and_goes_when_it_is_over() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    // A name that would do something if it were not taken as a name.
    let stage = Stage::new(["<img src=x onerror=alert(1)>", "node2"]);
    let origin = stage.origin();
    browser.show(&origin);
    browser.until("document.getElementById('live')?.textContent === 'live'");
    browser.until("document.getElementById('graph').textContent.includes('No deadlock')");
    assert_eq!(browser.value(RED_LINES), 0);
    browser.value("window.loadedOnce = true");

    let waits = stage.deadlock(["left", "right"]);
    browser.until("document.getElementById('graph').textContent.includes('Deadlock of 2 tasks')");
    assert_eq!(browser.value(RED_LINES), 4, "two waits of two lines each");
    browser.until("document.getElementById('status').textContent.includes('<img src=x')");
    assert_eq!(
        browser.value("document.images.length"),
        0,
        "a name is a name"
    );

    browser.until("document.getElementById('recent').textContent.includes('jobs \"left\"')");
    browser.value("document.querySelector('#graph a.history').click()");
    browser.until("document.getElementById('history').textContent.includes('wants EX')");
    let shown = browser.value("document.getElementById('history').textContent");
    let shown = shown.as_str().expect("a text");
    assert!(
        shown.contains("jobs \"left\"") && shown.contains("granted"),
        "{shown}"
    );
    assert_eq!(browser.value("document.activeElement.id"), "history");

    waits[0].abort();
    browser.until("document.getElementById('graph').textContent.includes('No deadlock')");
    assert_eq!(browser.value(RED_LINES), 0);
    assert_eq!(
        browser.value("window.loadedOnce"),
        true,
        "it was not loaded again"
    );

    let requests = browser.requests();
    let outside = requests.iter().filter(|url| !url.starts_with(&origin));
    assert_eq!(outside.count(), 0, "{requests:?}");
    for file in ["", "page.css", "page.js", "events"] {
        let url = format!("{origin}{file}");
        assert!(requests.contains(&&url[..]), "{url} in {requests:?}");
    }
    assert!(
        browser.complaints().is_empty(),
        "{:?}",
        browser.complaints()
    );
}

#[test]
fn it_shows_everything_without_a_script_and_says_when_the_server_is_gone() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let mut stage = Stage::new(["node1", "node2"]);
    let waits = stage.deadlock(["left", "right"]);
    let off = serde_json::json!({ "value": true });
    browser.call("Emulation.setScriptExecutionDisabled", &off);
    browser.show(&stage.origin());
    browser.until("document.getElementById('graph')?.textContent.includes('Deadlock of 2 tasks')");
    browser.until("document.getElementById('status').textContent.includes('node2')");
    assert_ne!(
        browser.value("document.getElementById('live').textContent"),
        "live"
    );

    let on = serde_json::json!({ "value": false });
    browser.call("Emulation.setScriptExecutionDisabled", &on);
    browser.show(&stage.origin());
    browser.until("document.getElementById('live')?.textContent === 'live'");
    for wait in waits {
        wait.abort();
    }
    let server = stage.server.take().expect("it runs");
    stage.runtime.block_on(server.stop());
    browser.until("document.getElementById('live').className === 'lost'");
}
