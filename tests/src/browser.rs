//! A real browser without a window, driven over its debugging pipe: it is told what to do in JSON, each message
//! ended by a byte of 0, and says in the same way what happens in it.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::machine;

/// How long the browser may take for anything; the first page on a busy machine takes longest.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(60);

/// How often a page is asked whether it shows what is waited for.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// Descriptors 3 and 4 are where it hears and speaks; what a browser prints goes where its errors go.
const WITH_PIPE: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>&2"#;

const ARGUMENTS: [&str; 11] = [
    "--headless=new",
    "--remote-debugging-pipe",
    // Tests run as root in containers, where its sandbox cannot be.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
];

/// A browser with one page, and all that happened in it.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// The page, once it is there.
    page: Option<String>,
    calls: u64,
    events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts one. A test that gets none returns.
    ///
    /// # Panics
    /// If there is none and `GLOCKWORK_REQUIRE` names `chromium`, or if it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        if !machine::has_chromium() {
            return None;
        }
        let profile = tempfile::tempdir().expect("a temporary directory");
        let log = File::create(profile.path().join("log")).expect("a file");
        let data = format!("--user-data-dir={}", profile.path().display());
        let mut child = Command::new("sh")
            .args(["-c", WITH_PIPE, "chromium"])
            .args(ARGUMENTS)
            .arg(data)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("a shell");
        let input = child.stdin.take().expect("a pipe");
        let output = child.stdout.take().expect("a pipe");
        let (tells, messages) = channel();
        std::thread::spawn(move || {
            for message in BufReader::new(output).split(0).map_while(Result::ok) {
                let message = serde_json::from_slice(&message).expect("JSON from the browser");
                if tells.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            child,
            input,
            messages,
            page: None,
            calls: 0,
            events: Vec::new(),
            _profile: profile,
        };
        browser.open_page();
        Some(browser)
    }

    fn open_page(&mut self) {
        let target = self.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let target = &target["targetId"];
        let attached = json!({ "targetId": target, "flatten": true });
        let attached = self.call("Target.attachToTarget", &attached);
        let page = attached["sessionId"].as_str().expect("a page");
        self.page = Some(page.to_owned());
        for domain in ["Page", "Network", "Runtime", "Log"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
    }

    /// Has something done, and waits for the answer.
    ///
    /// # Panics
    /// If it is refused, or takes too long.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(page) = &self.page {
            message["sessionId"] = page.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message).expect("JSON");
        bytes.push(0);
        self.input.write_all(&bytes).expect("the browser listens");
        let until = Instant::now() + ANSWER_WAIT_MAX;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let said = self.messages.recv_timeout(left);
            let said = said.unwrap_or_else(|_| panic!("the browser does not answer {method}"));
            if said["id"] == self.calls {
                assert!(said["error"].is_null(), "{method}: {}", said["error"]);
                return said["result"].clone();
            }
            self.events.push(said);
        }
    }

    /// Goes to an address.
    ///
    /// # Panics
    /// If that cannot be shown.
    pub fn show(&mut self, url: &str) {
        let shown = self.call("Page.navigate", &json!({ "url": url }));
        assert!(shown["errorText"].is_null(), "{url}: {shown}");
    }

    /// What an expression is on the page.
    ///
    /// # Panics
    /// If it fails.
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", &asked);
        let failed = &answer["exceptionDetails"];
        assert!(failed.is_null(), "{expression}: {failed}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true on the page.
    ///
    /// # Panics
    /// If it never is; says what the page shows instead.
    pub fn until(&mut self, expression: &str) {
        let until = Instant::now() + ANSWER_WAIT_MAX;
        while self.value(expression) != true {
            if Instant::now() > until {
                let shown = self.value("document.documentElement.outerHTML");
                panic!("{expression} is never true; the page is {shown}");
            }
            std::thread::sleep(ASK_EVERY);
        }
    }

    /// The addresses of everything that the page asked for.
    #[must_use]
    pub fn requests(&self) -> Vec<&str> {
        let sent = |event: &&Value| event["method"] == "Network.requestWillBeSent";
        let events = self.events.iter().filter(sent);
        events
            .filter_map(|event| event["params"]["request"]["url"].as_str())
            .collect()
    }

    /// What the page complained about: exceptions, messages on its console, entries in its log.
    #[must_use]
    pub fn complaints(&self) -> Vec<&Value> {
        let complains = |event: &&Value| {
            matches!(
                event["method"].as_str(),
                Some("Runtime.exceptionThrown" | "Runtime.consoleAPICalled" | "Log.entryAdded")
            )
        };
        self.events.iter().filter(complains).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its other processes end with the first.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
