//! The reference pages are what the programs and the `.proto` files say, and their links lead somewhere.

use std::collections::BTreeSet;
use std::path::Path;

use tests::process::Binaries;
use tests::reference::{COMMAND, DIRECTORY, Page, difference, pages};

fn made() -> Vec<Page> {
    pages(Binaries::built()).expect("the programs and the descriptors say what they are")
}

#[test]
fn pages_are_what_would_be_written() {
    let different = difference(&made()).expect("the pages can be read");
    assert!(
        different.is_none(),
        "{}; write it again with: {COMMAND}",
        different.unwrap_or_default()
    );
}

#[test]
fn links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for page in made() {
        let anchors = anchors(&page);
        let links = page.text.match_indices("](");
        let links = links.filter_map(|(at, _)| page.text[at + 2..].split(')').next());
        let mut count = 0;
        for link in links {
            count += 1;
            let leads = match link.strip_prefix('#') {
                Some(anchor) => anchors.contains(anchor),
                None => root.join(DIRECTORY).join(link).exists(),
            };
            assert!(leads, "{} links to {link}", page.name);
        }
        assert!(count > 0, "{} has links", page.name);
    }
}

/// The anchors of a page's headings, as GitHub makes them. No two are the same, or the second would get a
/// number.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut is_block = false;
    for line in page.text.lines() {
        is_block ^= line.starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_block || heading.len() == line.len() {
            continue;
        }
        let kept = heading.trim().to_lowercase().replace(' ', "-");
        let anchor = kept.replace(
            |one: char| !one.is_alphanumeric() && !"-_".contains(one),
            "",
        );
        let is_new = anchors.insert(anchor);
        assert!(is_new, "{} has two headings {line}", page.name);
    }
    anchors
}

/// What the examples of the gRPC page call is there.
#[test]
fn examples_name_what_there_is() {
    let pages = made();
    let page = pages.iter().find(|page| page.name == "grpc.md");
    let text = &page.expect("the page of the services").text;
    let examples = text.lines().filter(|line| line.starts_with("$ "));
    let named: Vec<String> = examples
        .filter_map(|line| line.split("glockwork.v1.").nth(1))
        .map(|name| name.trim().replace('/', "."))
        .collect();
    assert!(!named.is_empty(), "examples name something");
    for name in named {
        let headings = [
            format!("\n#### rpc {name}\n"),
            format!("\n### message {name}\n"),
        ];
        let is_there = headings.iter().any(|heading| text.contains(heading));
        assert!(is_there, "an example names {name}");
    }
}
