//! `dlm locks`, `dlm lockspaces`, `dlm purge`, and what is made of the command line itself.

use std::io::Read;

use dlm_client::{Mode, RequestFlags};
use serde_json::Value;
use tokio::time::timeout;

use crate::session::Session;
use crate::stage::{PATIENCE, dlm, fails, join, run, serve, succeeds};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The line of a listing that ends so, without its time.
fn line<'a>(text: &'a str, end: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.ends_with(end));
    let words = line.unwrap_or_else(|| panic!("no line ends with {end:?}:\n{text}"));
    words.split_whitespace().collect()
}

#[tokio::test]
async fn every_lock_is_listed_whatever_it_is_called() {
    let (_server, endpoint) = serve().await;
    assert_eq!(
        succeeds(&endpoint, &["locks"]).await,
        "There are no locks.\n"
    );
    assert_eq!(
        json(&succeeds(&endpoint, &["locks", "--json"]).await)["locks"],
        Value::Array(Vec::new())
    );

    let client = join(&endpoint, "backup").await;
    let jobs = client.lockspace("jobs").await.unwrap();
    let _held = jobs.lock("nightly", Mode::Ex).await.unwrap();
    let _other = jobs.lock(b"a\n\xff", Mode::Cr).await.unwrap();
    let waiter = join(&endpoint, "waiter").await;
    let waits = waiter.lockspace("jobs").await.unwrap();
    let waiting = tokio::spawn(async move { waits.lock("nightly", Mode::Pr).await.map(drop) });
    let mut session = Session::join(&endpoint, "raw", "values").await;
    let first = session
        .lock(b"v", (Mode::Ex, RequestFlags::VALBLK, 7))
        .await;
    session.store(first, b"value").await;
    session
        .lock(b"v", (Mode::Pr, RequestFlags::PERSISTENT, 7))
        .await;
    session.end_task(7).await;

    let listed = async {
        loop {
            let text = succeeds(&endpoint, &["locks"]).await;
            if text.contains("waiter") {
                break text;
            }
        }
    };
    let text = timeout(PATIENCE, listed).await.expect("it waits");
    let header = "MODE     TIME           TOKEN    TASK  SESSION             RESOURCE";
    assert_eq!(text.lines().next(), Some(header));
    assert_eq!(text.lines().count(), 1 + 5, "{text}");
    assert_eq!(line(&text, "backup (1)          jobs \"nightly\"")[0], "EX");
    assert_eq!(line(&text, "jobs \"a\\x0a\\xff\"")[0], "CR");
    assert_eq!(
        line(&text, "waiter (2)          jobs \"nightly\"")[0],
        ">PR"
    );
    let orphan = line(&text, "values \"v\", orphan, value");
    assert_eq!((orphan[0], orphan[4]), ("PR", "7"));

    let waits = succeeds(&endpoint, &["locks", "--waiting"]).await;
    assert_eq!(waits.lines().count(), 2, "{waits}");
    let named = succeeds(&endpoint, &["locks", "--lockspace", "jobs", "--name", "a*"]).await;
    assert!(
        named.lines().count() == 2 && named.contains("\\xff"),
        "{named}"
    );
    let nothing = succeeds(&endpoint, &["locks", "--name", "b*"]).await;
    assert_eq!(nothing, "There are no such locks.\n");
    let document = json(&succeeds(&endpoint, &["locks", "--json", "--name", "v"]).await);
    let lock = &document["locks"][0];
    assert_eq!(
        (&lock["orphan"], &lock["value"]),
        (&true.into(), &format!("{:0<64}", "76616c7565").into())
    );
    assert_eq!(
        (&lock["granted"], &lock["requested"], &lock["queue"]),
        (&"PR".into(), &Value::Null, &"granted".into())
    );
    waiting.abort();
}

#[tokio::test]
async fn lockspaces_are_listed_with_what_they_are_like() {
    let (_server, endpoint) = serve().await;
    assert_eq!(
        succeeds(&endpoint, &["lockspaces"]).await,
        "No lockspace is open.\n"
    );
    let client = join(&endpoint, "backup").await;
    let jobs = client.lockspace("jobs").await.unwrap();
    let _held = jobs.lock("nightly", Mode::Ex).await.unwrap();
    let text = succeeds(&endpoint, &["lockspaces"]).await;
    let words: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        words,
        [
            "1", "jobs", "32", "stay", "1", "1", "0", "0", "backup", "(1)"
        ]
    );
    let document = json(&succeeds(&endpoint, &["lockspaces", "--json"]).await);
    assert_eq!(document["lockspaces"][0]["sessions"][0]["name"], "backup");
    assert_eq!(document["lockspaces"][0]["value_length"], 32);
}

#[tokio::test]
async fn orphans_are_purged_and_nobody_elses() {
    let (_server, endpoint) = serve().await;
    let mut a = Session::join(&endpoint, "twin", "jobs").await;
    let b = Session::join(&endpoint, "twin", "jobs").await;
    for owner in [5, 5, 6] {
        let how = (Mode::Pr, RequestFlags::PERSISTENT, owner);
        a.lock(b"r", how).await;
    }
    a.end_task(5).await;
    a.end_task(6).await;
    let number = a.number.to_string();
    let purge = |session: &str, more: &[&str]| -> Vec<String> {
        let arguments = ["purge", "--lockspace", "jobs", "--session", session];
        arguments
            .iter()
            .chain(more)
            .map(|&it| it.to_owned())
            .collect()
    };
    let said = |arguments: Vec<String>| {
        let endpoint = endpoint.clone();
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            succeeds(&endpoint, &arguments).await
        }
    };
    let wrong = fails(
        &endpoint,
        &["purge", "--lockspace", "jobs", "--session", "twin"],
    )
    .await;
    let both = format!("twin ({}), twin ({})", a.number, b.number);
    assert!(wrong.contains(&both), "{wrong}");
    let wrong = fails(
        &endpoint,
        &["purge", "--lockspace", "nowhere", "--session", &number],
    )
    .await;
    assert!(wrong.contains("\"nowhere\""), "{wrong}");

    let one = said(purge(&number, &["--owner", "6"])).await;
    assert_eq!(
        one,
        format!("1 orphan of task 6 of twin ({number}) in jobs is gone.\n")
    );
    let rest = json(&said(purge(&number, &["--json"])).await);
    assert_eq!(
        (&rest["locks"], &rest["session_name"]),
        (&2.into(), &"twin".into())
    );
    let none = said(purge(&number, &[])).await;
    assert_eq!(none, format!("twin ({number}) has no orphans in jobs.\n"));
}

#[tokio::test]
async fn completions_and_the_manual_need_no_server() {
    let nowhere = "127.0.0.1:1";
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeeds(nowhere, &["completions", shell]).await;
        assert!(script.contains("lockspaces"), "{shell}");
    }
    let page = succeeds(nowhere, &["manual"]).await;
    for part in [
        ".TH dlm 1",
        ".SH \"EXIT STATUS\"",
        ".SH ENVIRONMENT",
        ".SH FILES",
        "dlm\\-purge(1)",
        "GLOCKWORK_ENDPOINTS",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    for command in ["lock", "locks", "dump"] {
        let page = succeeds(nowhere, &["manual", command]).await;
        assert!(page.contains(&format!("dlm\\-{command}")), "{page}");
    }
    let wrong = fails(nowhere, &["manual", "nothing"]).await;
    assert!(wrong.contains("\"nothing\""), "{wrong}");
    let help = succeeds(nowhere, &["--help"]).await;
    assert!(
        help.contains("Exit status:") && help.lines().all(|line| line.len() <= 100),
        "{help}"
    );
}

#[tokio::test]
async fn without_a_server_or_with_wrong_words_every_command_says_so() {
    let (server, endpoint) = serve().await;
    for arguments in [
        &["locks", "--lockspace", "nowhere"][..],
        &["dump", "--lockspace", "nowhere"],
        &["dump", "--node", "nobody"],
        &["dump"],
    ] {
        let said = fails(&endpoint, arguments).await;
        assert!(said.starts_with("dlm: "), "{said}");
    }
    server.stop().await;
    for arguments in [
        &["locks"][..],
        &["lockspaces", "--json"],
        &["dump", "--format", "gfs2"],
        &["dump", "--tree", "/nowhere"],
        &["purge", "--lockspace", "a", "--session", "b"],
    ] {
        let said = fails(&endpoint, arguments).await;
        assert!(said.contains("cannot reach a lock server"), "{said}");
    }
    for arguments in [
        &["locks", "--format", "text"][..],
        &["purge"],
        &["completions", "ksh"],
    ] {
        let output = run(&endpoint, arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_reader_of_a_long_listing_may_go() {
    let (_server, endpoint) = serve().await;
    let client = join(&endpoint, "backup").await;
    let lockspace = client.lockspace("jobs").await.unwrap();
    let mut guards = Vec::new();
    // More than a page, and more than a pipe holds.
    for number in 0..3000 {
        let name = format!("job {number}");
        guards.push(lockspace.lock(&name, Mode::Pr).await.unwrap());
    }
    for arguments in [
        &["locks"][..],
        &["locks", "--json"],
        &["dump", "--file", "all"],
    ] {
        let (mut reading, writing) = std::io::pipe().unwrap();
        let mut child = dlm(&endpoint, arguments).stdout(writing).spawn().unwrap();
        let read = tokio::task::spawn_blocking(move || reading.read_exact(&mut [0; 10]));
        read.await.unwrap().unwrap();
        let status = child.wait().await.unwrap();
        let mut said = String::new();
        let mut stderr = child.stderr.take().unwrap();
        tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut said)
            .await
            .unwrap();
        assert_eq!((status.code(), &said[..]), (Some(0), ""), "{arguments:?}");
    }
    let all = succeeds(&endpoint, &["locks"]).await;
    assert_eq!(all.lines().count(), 1 + 3000);
}
