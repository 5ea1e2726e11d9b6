//! TLS: the cluster shows who it is, and so does the client where it has to.
//!
//! The certificates are of an authority that exists in this file only, for 127.0.0.1 and a hundred years:
//! `openssl req -x509` for the authority, `openssl x509 -req -CA` for the others, keys on P-256.

use std::sync::Arc;

use dlm_client::{Client, ConnectError, ConnectOptions, Mode, Servers, Tls};
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::scripted::Script;
use crate::session::within;

const CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIBijCCAS+gAwIBAgIUSL8CNwL/nDuJhDRjb5gCalYiYWIwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTMwMTgyNDU5WhgPMjEy
NjExMDYxODI0NTlaMBkxFzAVBgNVBAMMDlRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEH6Aod2rD7nH5d4w4rMSgwQdidjc9rzFTEEOidZkq
z46WqMyoA7yFaQ3ZgVWe08oe07gMx9JJ9eqXbORgtvn6PqNTMFEwHQYDVR0OBBYE
FNWTwdf87oRDqqrHiRjKfGx/HopQMB8GA1UdIwQYMBaAFNWTwdf87oRDqqrHiRjK
fGx/HopQMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSQAwRgIhAPOUGEJr
8XioeUWbdE/7/AgypZD2Mkela8sQ8QyzEsGkAiEAnO/Q7eE56bku02fS1Yj3MLCh
n8TUPtTWjQcAl2SNoSU=
-----END CERTIFICATE-----
";

const OTHER_CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIBjzCCATWgAwIBAgIUBIAI8APYYbV8dutO9MA13SKX6zMwCgYIKoZIzj0EAwIw
HDEaMBgGA1UEAwwRQW5vdGhlciBhdXRob3JpdHkwIBcNMjYxMTMwMTgyNDU5WhgP
MjEyNjExMDYxODI0NTlaMBwxGjAYBgNVBAMMEUFub3RoZXIgYXV0aG9yaXR5MFkw
EwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhiCNM61DgWbJkS4IvT3M59A5qMb3gK2G
tfdlWLA5MpO0Cc1K24eHFxKiRdMitTaQV847AnqGJUWLScbDRSYBm6NTMFEwHQYD
VR0OBBYEFCGECXt8ROVZcOuLJ3dNgs94D1i2MB8GA1UdIwQYMBaAFCGECXt8ROVZ
cOuLJ3dNgs94D1i2MA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIh
AJMZ9bOlzsNYmxCq06vdil7kalEpRMlEIhnqSZLpeleiAiAAqkQwgIWB/IzeLiDV
G1RBp9KuVzKIiCf88Lba39vLkA==
-----END CERTIFICATE-----
";

const SERVER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBlzCCAT2gAwIBAgIUOo6Q0/oGBqZXKpADb/29Z6fjfMcwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTMwMTgyNDU5WhgPMjEy
NjExMDYxODI0NTlaMBExDzANBgNVBAMMBnNlcnZlcjBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABAbrHHWPsI+wiKjKzriWlNHzXxkXKtG3AeX+uUDcCWBuJXt3qVFf
+aEPMUc2ijAfd6ThLlxKLeCeXwYas6eiPVajaTBnMBoGA1UdEQQTMBGCCWxvY2Fs
aG9zdIcEfwAAATAJBgNVHRMEAjAAMB0GA1UdDgQWBBTK5rqvlGnTttiHcWiCh52z
VdBLQDAfBgNVHSMEGDAWgBTVk8HX/O6EQ6qqx4kYynxsfx6KUDAKBggqhkjOPQQD
AgNIADBFAiEAh/fsZo6Du8JPUzxefKfKejWcjDnX40yKAmpfem4gOxUCIBZmm1zm
JVs4AXliRwqEc7DL8LCikOI9RcyiE4t9fxJJ
-----END CERTIFICATE-----
";

const SERVER_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgihzAjpVvkKphAPdW
e71xe8eqOYJEvMoqP9F0aRD27RGhRANCAAQG6xx1j7CPsIioys64lpTR818ZFyrR
twHl/rlA3AlgbiV7d6lRX/mhDzFHNoowH3ek4S5cSi3gnl8GGrOnoj1W
-----END PRIVATE KEY-----
";

const CLIENT: &str = "\
-----BEGIN CERTIFICATE-----
MIIBlzCCAT2gAwIBAgIUOo6Q0/oGBqZXKpADb/29Z6fjfMgwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOVGVzdCBhdXRob3JpdHkwIBcNMjYxMTMwMTgyNTAwWhgPMjEy
NjExMDYxODI1MDBaMBExDzANBgNVBAMMBmNsaWVudDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABCPUzCsm0qN9iz+0XcV7cjBTILSeZa3BAjwFu+23+FzvRzc1MfFo
wNeSTAN8jyk7rNjuZrvMiVRuNuBN5njejBKjaTBnMBoGA1UdEQQTMBGCCWxvY2Fs
aG9zdIcEfwAAATAJBgNVHRMEAjAAMB0GA1UdDgQWBBSDGyKC74Go5eefhucVXVZA
cn4TNDAfBgNVHSMEGDAWgBTVk8HX/O6EQ6qqx4kYynxsfx6KUDAKBggqhkjOPQQD
AgNIADBFAiAzgF+mToHSV+jGylJhdbuYlMvFwXoc4seBI6lecsZkmwIhAM1AOywv
DaXuphaKgrHmLOL0KcTniq3iEverDa1sdwOr
-----END CERTIFICATE-----
";

const CLIENT_KEY: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg4cmgaNJGX/yA7FVg
e5+MZVOXfj3DQWWnVEl/mMIqzluhRANCAAQj1MwrJtKjfYs/tF3Fe3IwUyC0nmWt
wQI8Bbvtt/hc70c3NTHxaMDXkkwDfI8pO6zY7ma7zIlUbjbgTeZ43owS
-----END PRIVATE KEY-----
";

/// A cluster that wants to see a certificate.
async fn cluster() -> Arc<Script> {
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(SERVER, SERVER_KEY))
        .client_ca_root(Certificate::from_pem(CA));
    Script::start_with(Some(tls)).await
}

async fn connect(servers: Servers) -> Result<Client, ConnectError> {
    let name = "node1".to_owned();
    within(Client::connect(ConnectOptions { servers, name })).await
}

#[tokio::test]
async fn both_sides_show_who_they_are() {
    let script = cluster().await;
    let tls = Tls::new(CA, Some((CLIENT, CLIENT_KEY))).unwrap();
    let client = connect(script.servers().with_tls(tls)).await.unwrap();
    let space = client.lockspace("volume").await.unwrap();
    let guard = within(space.lock("x", Mode::Ex)).await.unwrap();
    within(guard.unlock()).await.unwrap();
}

#[tokio::test]
async fn who_does_not_is_not_let_in() {
    let script = cluster().await;
    let no_certificate = Tls::new(CA, None).unwrap();
    let other_authority = Tls::new(OTHER_CA, Some((CLIENT, CLIENT_KEY))).unwrap();
    for servers in [
        script.servers(),
        script.servers().with_tls(no_certificate),
        script.servers().with_tls(other_authority),
    ] {
        let error = connect(servers).await.map(drop).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, ConnectError::Unreachable { .. }), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(script.heard(), [""; 0]);
}

#[test]
fn a_key_that_is_another_ones_is_found_at_once() {
    let error = Tls::new(CA, Some((CLIENT, "no key"))).unwrap_err();
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}
