//! SEMANTICS.md names tests; each of them exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace")
}

/// The names of all functions below a directory.
fn functions(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source");
            for line in text.lines() {
                let line = line.trim_start().trim_start_matches("async ");
                if let Some((name, _)) = line.strip_prefix("fn ").and_then(|it| it.split_once('('))
                {
                    found.insert(name.to_owned());
                }
            }
        }
    }
}

/// Where a table's last column is headed `test`, the names in backquotes in it.
fn named_tests(document: &str) -> Vec<String> {
    let (mut names, mut in_table) = (Vec::new(), false);
    for line in document.lines() {
        let Some(cells) = line.strip_prefix('|') else {
            in_table = false;
            continue;
        };
        let cells = cells.trim_end_matches([' ', '|']);
        let last = cells.rsplit(" | ").next().unwrap_or_default();
        if last == "test" || last.starts_with("test (") {
            in_table = true;
        }
        if in_table {
            let quoted = last.split('`').skip(1).step_by(2);
            names.extend(quoted.map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_test_that_the_document_names_exists() {
    let document = fs::read_to_string(root().join("SEMANTICS.md")).expect("the document");
    let mut known = BTreeSet::new();
    for directory in ["client", "dlm-server", "fs-node", "proto", "tests"] {
        functions(&root().join(directory), &mut known);
    }
    let names = named_tests(&document);
    assert!(names.len() > 100, "it has tables of tests: {}", names.len());
    for name in names {
        let is_path = name.contains('/') || name.ends_with(".rs");
        let exists = if is_path {
            root().join(&name).exists()
        } else {
            known.contains(&name)
        };
        assert!(exists, "SEMANTICS.md names {name}, which does not exist");
    }
}

/// And each of those that are written for it is named by it.
#[test]
fn every_test_of_this_directory_is_named_in_the_document() {
    let document = fs::read_to_string(root().join("SEMANTICS.md")).expect("the document");
    let named: BTreeSet<String> = named_tests(&document).into_iter().collect();
    for entry in fs::read_dir(root().join("tests/tests/semantics")).expect("this directory") {
        let path = entry.expect("an entry").path();
        if path.ends_with("document.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a source");
        for test in text.split("#[test]\nfn ").skip(1) {
            let name = test.split('(').next().expect("a name");
            assert!(named.contains(name), "SEMANTICS.md does not name {name}");
        }
    }
}
