//! Whether a server is protected as it is meant to be: certificates, plain text, rules of access.

use std::net::SocketAddr;

use super::file::FileSays;
use super::mistake::{Mistake, Source};
use super::resolve::{Place, Resolver};
use super::{Key, value};
use crate::access::{Access, Rule};
use crate::tls::{Tls, TlsFile, TlsFiles};

impl Resolver {
    pub(super) fn tls(&mut self, place: Option<&Place>, says: &FileSays) -> Option<Tls> {
        let keys = [Key::TlsCert, Key::TlsKey, Key::TlsCa];
        let [cert, key, ca] = keys.map(|key| self.take(key, value::path));
        if keys.iter().any(|key| self.is_given(*key)) {
            for key in keys.into_iter().filter(|key| !self.given.contains_key(key)) {
                let text =
                    "TLS takes a certificate, its key and the authorities; give this one too";
                self.mistakes.push(Mistake {
                    source: Source::Default(key),
                    text: text.into(),
                });
            }
        }
        let (cert, key, ca) = (cert?, key?, ca?);
        let tls = match Tls::read(&TlsFiles { cert, key, ca }) {
            Ok(tls) => tls,
            Err(errors) => {
                for error in errors {
                    let key = match error.file {
                        TlsFile::Certificate => Key::TlsCert,
                        TlsFile::Key => Key::TlsKey,
                        TlsFile::Authority => Key::TlsCa,
                    };
                    self.wrong(key, error.to_string());
                }
                return None;
            }
        };
        if let Some(place) = place.filter(|place| !place.peers.is_empty()) {
            self.known_to_peers(&tls, place, says);
        }
        Some(tls)
    }

    /// The other servers have the same authority and the same rules, as far as this one can know.
    fn known_to_peers(&mut self, tls: &Tls, place: &Place, says: &FileSays) {
        if let Err(error) = tls.check_among_servers(&place.advertise) {
            self.wrong(Key::TlsCert, error.to_string());
        }
        let names = tls.names();
        let is_server = |name: &String| says.servers.iter().any(|one| one.matches(name));
        if !names.iter().any(is_server) {
            let text = format!(
                "no name in the certificate ({}) is among `servers` in the file, by which servers know \
                 each other; add one",
                names.join(", ")
            );
            self.wrong(Key::TlsCert, text);
        }
    }

    fn has_tls(&self) -> bool {
        [Key::TlsCert, Key::TlsKey, Key::TlsCa]
            .into_iter()
            .any(|key| self.is_given(key))
    }

    pub(super) fn plain_text(&mut self, listen: Option<SocketAddr>, insecure: bool) {
        if self.has_tls() && insecure {
            let text = "it allows plain text, and TLS is set up; leave one of them out";
            self.wrong(Key::Insecure, text);
        }
        let Some(listen) = listen.filter(|listen| !listen.ip().to_canonical().is_loopback()) else {
            return;
        };
        if !self.has_tls() && !insecure {
            let text = format!(
                "others can reach {listen}, and in plain text whoever does may do everything; set up TLS \
                 with --tls-cert, --tls-key and --tls-ca, or allow it with --insecure"
            );
            self.wrong(Key::Listen, text);
        }
    }

    pub(super) fn access(&mut self, says: FileSays) -> Access {
        let FileSays {
            rules,
            servers,
            servers_at,
            ..
        } = says;
        if !self.has_tls() {
            let needless = rules.into_iter().map(|(_, at)| at).chain(servers_at);
            for at in needless {
                let text = "it says what certificates allow, and without TLS nobody shows one; set up TLS \
                            with --tls-cert, --tls-key and --tls-ca, or leave it out";
                self.wrong_at(at, text);
            }
            return Access::Everything;
        }
        if rules.is_empty() && self.is_given(Key::TlsCa) {
            let text = "with TLS everybody may do what rules [[access]] in the file (--config) say, and \
                        there is none; docs/dlm-server.toml has examples";
            self.wrong(Key::TlsCa, text);
        }
        let rules: Vec<Rule> = rules.into_iter().map(|(rule, _)| rule).collect();
        Access::ByCertificate { rules, servers }
    }
}
