//! Settings with certificates.

use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::tls::authority::{Authority, BOTH};

fn flags(issued: [String; 3]) -> [String; 3] {
    let [cert, key, ca] = issued;
    [
        format!("--tls-cert={cert}"),
        format!("--tls-key={key}"),
        format!("--tls-ca={ca}"),
    ]
}

const RULES: &str = "servers = [\"dlm*\"]\n[[access]]\nname = \"node*\"\nlockspaces = [\"*\"]\n";

fn with_tls<'a>(tls: &'a [String; 3], more: &[&'a str]) -> Vec<&'a str> {
    tls.iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect()
}

/// Three servers by name, as the second.
const NAMED: [&str; 5] = [
    "--peer=1=dlm1.example:1",
    "--peer=2=dlm2.example:1",
    "--peer=3=dlm3.example:1",
    "--data=no/such/directory",
    "--id=2",
];

#[test]
fn a_server_of_a_cluster_with_tls() {
    let authority = Authority::new();
    let file = authority.write("a.toml", RULES);
    let tls = flags(authority.issue("dlm2.example", &BOTH));
    let config = format!("--config={file}");
    let more = [&NAMED[..], &["--listen=0.0.0.0:7170", &config]].concat();
    let settings = settings(&with_tls(&tls, &more));
    assert!(
        settings
            .tls
            .unwrap()
            .names()
            .contains(&"dlm2.example".into())
    );
    let node = settings.access.caller(&["node7".into()]);
    assert_eq!(node.lockspace("vol"), Ok(()));
}

#[test]
fn certificates_that_the_others_would_refuse() {
    let authority = Authority::new();
    let config = format!("--config={}", authority.write("a.toml", RULES));
    let more = [&NAMED[..], &[&config]].concat();

    let tls = flags(authority.issue("dlm9.example", &BOTH));
    refused_for(
        &with_tls(&tls, &more),
        "--tls-cert",
        "of a server at dlm2.example",
    );
    let tls = flags(authority.issue("dlm2.example", &BOTH[..1]));
    refused_for(&with_tls(&tls, &more), "--tls-cert", "of a client");
    // The authority is that of the first; the certificate of another.
    let other = Authority::new();
    let mut tls = flags(other.issue("dlm2.example", &BOTH));
    tls[2] = format!("--tls-ca={}", authority.ca());
    refused_for(&with_tls(&tls, &more), "--tls-cert", "of a client");
    let tls = flags(authority.issue("dlm2.example", &BOTH));
    let config = format!(
        "--config={}",
        authority.write("b.toml", &RULES.replace("dlm*", "x"))
    );
    let more = [&NAMED[..], &[&config]].concat();
    refused_for(&with_tls(&tls, &more), "--tls-cert", "`servers`");
}

#[test]
fn files_of_certificates_that_are_wrong() {
    let authority = Authority::new();
    let config = format!("--config={}", authority.write("a.toml", RULES));
    let more = [config.as_str()];
    let good = flags(authority.issue("dlm2.example", &BOTH));
    settings(&with_tls(&good, &more));

    let with = |place: usize, path: &str| {
        let mut tls = good.clone();
        let (flag, _) = good[place].split_once('=').unwrap();
        tls[place] = format!("{flag}={path}");
        tls
    };
    let text = authority.write("text.pem", "no certificate\n");
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let damaged = authority.write("damaged.pem", damaged);
    let open = authority.write("open.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    let other_key = authority.write("other.key", &other_key);
    for (place, path, begins, has) in [
        (0, "no/such/file", "--tls-cert", "no/such/file: cannot read"),
        (0, &text, "--tls-cert", "no CERTIFICATE"),
        (0, &damaged, "--tls-cert", "certificate 1 of the file"),
        (0, &open, "--tls-cert", "not PEM"),
        (1, &text, "--tls-key", "no PRIVATE KEY"),
        (
            1,
            &other_key,
            "--tls-key",
            "cannot be used with the certificate in",
        ),
        (2, &text, "--tls-ca", "no CERTIFICATE"),
        (2, &damaged, "--tls-ca", "certificate 1 of the file"),
    ] {
        refused_for(&with_tls(&with(place, path), &more), begins, has);
    }

    let mut params = CertificateParams::new(["dlm2.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    params.not_before = rcgen::date_time_ymd(2019, 1, 1);
    let expired = flags(authority.issue_with(params));
    refused_for(&with_tls(&expired, &more), "--tls-cert", "and not now");
}

#[test]
fn tls_takes_all_three_rules_and_no_plain_text() {
    let authority = Authority::new();
    let tls = flags(authority.issue("dlm2.example", &BOTH));
    refused_for(&with_tls(&tls, &[]), "--tls-ca", "[[access]]");
    let config = format!("--config={}", authority.write("a.toml", RULES));
    refused_for(
        &with_tls(&tls, &[&config, "--insecure"]),
        "--insecure",
        "TLS is set up",
    );
    let two = [tls[0].as_str(), &tls[2], &config];
    refused_for(&two, "tls-key (not set)", "give this one too");
}

#[test]
fn a_key_is_never_shown() {
    let authority = Authority::new();
    let config = format!("--config={}", authority.write("a.toml", RULES));
    let tls = flags(authority.issue("dlm2.example", &BOTH));
    let loaded = load(&with_tls(&tls, &[&config]), &[]).unwrap();
    let shown = format!(
        "{:?} {} {}",
        loaded,
        loaded.effective,
        loaded.effective.json()
    );
    assert!(
        !shown.contains("BEGIN") && shown.contains("server.key"),
        "{shown}"
    );
}
