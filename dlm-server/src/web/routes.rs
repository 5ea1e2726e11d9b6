//! Which path is what.

use std::sync::Arc;

use glockwork_proto::convert;
use glockwork_views::graph::Object;
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use percent_encoding::percent_decode_str;

use super::answer::{self, Answer};
use super::responder::Visit;
use super::sight::Unseen;
use super::{Site, Whole, history, page};
use crate::error::LookError;
use crate::inspect::Look;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const ICON: &str = include_str!("icon.svg");

/// Answers a request.
pub(super) async fn answer<L: Look>(
    request: &Request<Incoming>,
    site: &Site<L>,
    visit: &Arc<Visit>,
) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer::only_for_looking();
    }
    if request.uri().path() == "/metrics" {
        return answer::found(answer::OPEN_METRICS, site.metrics().text());
    }
    let Site::Whole(whole) = site else {
        return answer::instead(StatusCode::NOT_FOUND, "the metrics are at /metrics");
    };
    whole_answer(request, whole, visit)
        .await
        .unwrap_or_else(|unseen| answer::instead(unseen.status(), &unseen.to_string()))
}

async fn whole_answer<L: Look>(
    request: &Request<Incoming>,
    whole: &Whole<L>,
    visit: &Arc<Visit>,
) -> Result<Answer, Unseen> {
    let sight = &whole.sight;
    let query = Query(request.uri().query().unwrap_or_default());
    Ok(match request.uri().path() {
        "/" => answer::found(answer::HTML, page::whole(sight, "").await),
        "/history" => {
            let object = Object {
                lockspace: query.text("lockspace")?,
                name: convert::resource_name(&query.bytes("name")).map_err(LookError::from)?,
            };
            let history = sight.history(&object).await;
            let history = history::of_resource(&object, history);
            let html = match query.has("part") {
                true => history,
                false => page::whole(sight, &history).await,
            };
            answer::found(answer::HTML, html)
        }
        "/page.css" => answer::found(answer::CSS, STYLE),
        "/page.js" => answer::found(answer::SCRIPT, SCRIPT),
        "/icon.svg" => answer::found(answer::SVG, ICON),
        "/graph.svg" => {
            let graph = sight.graph(query.text("lockspace")?).await?;
            answer::found(answer::SVG, glockwork_views::graph::svg::render(&graph))
        }
        "/graph.json" => {
            let graph = sight.graph(query.text("lockspace")?).await?;
            answer::found(answer::JSON, glockwork_views::graph::json::render(&graph))
        }
        "/status.json" => {
            let status = sight.status().await?;
            let text = serde_json::to_string_pretty(&status);
            let text = text.expect("numbers and strings are always JSON") + "\n";
            answer::found(answer::JSON, text)
        }
        "/health" => {
            sight.health().await?;
            answer::instead(StatusCode::OK, "serving")
        }
        // Whoever asks for the head only does not stay.
        "/events" if request.method() == Method::HEAD => {
            answer::events(tokio::sync::mpsc::channel(1).1)
        }
        "/events" => match whole.live.listen(visit) {
            Some(queue) => answer::events(queue),
            None => return Err(Unseen::Listeners),
        },
        _ => answer::instead(
            StatusCode::NOT_FOUND,
            "there is /, /history, /graph.svg, /graph.json, /status.json, /events, /health and /metrics",
        ),
    })
}

/// What stands after the question mark.
struct Query<'a>(&'a str);

impl Query<'_> {
    /// A value, decoded; empty where it is not given.
    fn bytes(&self, name: &str) -> Vec<u8> {
        let pairs = self.0.split('&').filter_map(|pair| pair.split_once('='));
        let mut values = pairs.filter(|(key, _)| *key == name);
        let Some((_, value)) = values.next() else {
            return Vec::new();
        };
        // A form writes a space as a plus.
        percent_decode_str(&value.replace('+', " ")).collect()
    }

    /// Whether it is there, with a value or without.
    fn has(&self, name: &str) -> bool {
        let mut pairs = self.0.split('&');
        pairs.any(|pair| pair.split('=').next() == Some(name))
    }

    /// The same, where it is to be a text.
    fn text(&self, name: &'static str) -> Result<String, Unseen> {
        String::from_utf8(self.bytes(name)).map_err(|_| Unseen::NotText(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded() {
        let query = Query("lockspace=a%20b+c&name=%ff%00&other");
        assert_eq!(query.text("lockspace").unwrap(), "a b c");
        assert_eq!(query.bytes("name"), b"\xff\0");
        assert!(query.text("name").is_err());
        assert_eq!(query.text("other").unwrap(), "");
        assert!(query.has("other") && query.has("name") && !query.has("none"));
        assert_eq!(query.text("none").unwrap(), "");
    }
}
