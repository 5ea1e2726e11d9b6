//! The repository's own rules: who imports whom, what a pure crate may not do, and that the map in
//! ARCHITECTURE.md is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The edges between the project's crates; ARCHITECTURE.md draws them. `tests` may import everything.
const EDGES: [(&str, &[&str]); 9] = [
    ("dlm-core", &[]),
    ("glock-core", &["dlm-core"]),
    ("glockwork-proto", &["dlm-core"]),
    (
        "glockwork-views",
        &["dlm-core", "glock-core", "glockwork-proto"],
    ),
    ("glockwork-runs", &["glockwork-proto"]),
    (
        "dlm-client",
        &[
            "dlm-core",
            "glock-core",
            "glockwork-proto",
            "glockwork-runs",
            "glockwork-views",
        ],
    ),
    (
        "dlm-server",
        &["dlm-core", "glockwork-proto", "glockwork-views"],
    ),
    ("fs-core", &["glock-core"]),
    ("fs-node", &["dlm-client", "dlm-server", "fs-core"]),
];

/// The crates without clock, I/O, threads and randomness, and what they may import from elsewhere.
const PURE: [&str; 3] = ["dlm-server/core", "client/core", "fs-node/core"];
const PURE_IMPORTS: [&str; 2] = ["bitflags", "hashbrown"];

/// The files with `unsafe` in them, all of them at the border to the kernel.
const UNSAFE: [&str; 6] = [
    "dlm-server/core/benches/lock_table.rs",
    "fs-node/src/cache/access.rs",
    "fs-node/src/cache/memfd.rs",
    "fs-node/src/cache/userfaultfd.rs",
    "fs-node/src/demo/child.rs",
    "fs-node/src/store/file.rs",
];

/// Words that say nothing, or that something is not done.
const BANNED_NAMES: [&str; 5] = ["utils", "util", "helper", "manager", "common"];
const BANNED_TEXT: [&str; 5] = ["TO\x44O", "FIX\x4dE", "XX\x58", "#[ig\x6eore", "dbg\x21("];

const LINES_MAX: usize = 800;

/// What a dependency may be licensed under; with a choice, one of them is enough.
const LICENCES: [&str; 9] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Zlib",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_owned()
}

/// Every source file, as its path from the root.
fn sources() -> Vec<String> {
    let crates = ["proto", "dlm-server", "client", "fs-node", "tests"];
    let mut found = Vec::new();
    for name in crates {
        walk(&root().join(name), &mut found);
    }
    let root = root();
    let relative = |path: PathBuf| {
        path.strip_prefix(&root)
            .expect("inside")
            .display()
            .to_string()
    };
    let mut sources: Vec<String> = found.into_iter().map(relative).collect();
    sources.sort();
    assert!(sources.len() > 50, "the walk found the sources");
    sources
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The dependencies that each package of the workspace declares for itself, tests excepted.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata's JSON");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| {
            let normal = package["dependencies"]
                .as_array()
                .expect("dependencies")
                .iter();
            let names = normal
                .filter(|one| one["kind"].is_null())
                .map(|one| text(&one["name"]));
            (text(&package["name"]), names.collect())
        })
        .collect()
}

#[test]
fn imports_point_one_way() {
    let dependencies = dependencies();
    let ours: BTreeSet<&str> = EDGES
        .iter()
        .map(|&(name, _)| name)
        .chain(["tests"])
        .collect();
    for (name, allowed) in EDGES {
        let actual: BTreeSet<&str> = dependencies[name]
            .iter()
            .map(String::as_str)
            .filter(|one| ours.contains(one))
            .collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(
            actual.is_subset(&allowed),
            "{name} imports {actual:?}; ARCHITECTURE.md draws {allowed:?}"
        );
    }
    assert_eq!(
        dependencies.len(),
        ours.len(),
        "a crate is missing from the drawing"
    );
}

#[test]
fn the_node_takes_the_server_by_its_one_door() {
    for path in sources()
        .iter()
        .filter(|path| path.starts_with("fs-node/src"))
    {
        for (number, line) in read(path).lines().enumerate() {
            for (at, _) in line.match_indices("dlm_server::") {
                let door = line[at..].starts_with("dlm_server::embedded");
                assert!(
                    door,
                    "{path}:{}: only dlm_server::embedded is for the node",
                    number + 1
                );
            }
        }
    }
}

#[test]
fn pure_crates_are_pure() {
    let dependencies = dependencies();
    for directory in PURE {
        let lib = read(&format!("{directory}/src/lib.rs"));
        assert!(
            lib.lines().any(|line| line == "#![no_std]"),
            "{directory} is no_std"
        );
        let manifest = read(&format!("{directory}/Cargo.toml"));
        let name = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
            .expect("a package name");
        for import in &dependencies[name] {
            let ours = EDGES.iter().any(|(ours, _)| ours == import);
            assert!(
                ours || PURE_IMPORTS.contains(&import.as_str()),
                "{name} imports {import}"
            );
        }
    }
}

#[test]
fn unsafe_is_at_the_border_only() {
    for path in sources() {
        let text = read(&path);
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        let has_unsafe = code.into_iter().any(|line| {
            line.contains("unsafe {")
                || line.contains("unsafe fn")
                || line.contains("unsafe extern")
        });
        let listed = UNSAFE.contains(&path.as_str()) || path == "tests/tests/tidy.rs";
        assert!(
            !has_unsafe || listed,
            "{path} has unsafe code and is not in the list"
        );
    }
}

#[test]
fn files_say_what_they_are() {
    for path in sources() {
        let text = read(&path);
        assert!(text.starts_with("//!"), "{path} does not open with //!");
        assert!(
            text.lines().count() <= LINES_MAX,
            "{path} has more than {LINES_MAX} lines"
        );
        let stem = Path::new(&path)
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(
            !BANNED_NAMES.contains(&stem.as_str()),
            "{path}: a name that says nothing"
        );
        if path != "tests/tests/tidy.rs" {
            for word in BANNED_TEXT {
                assert!(!text.contains(word), "{path} has {word}");
            }
        }
    }
}

/// An expression of alternatives (`OR`, or `/` as it used to be written), each of terms that all hold.
fn is_allowed(expression: &str) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain.split(" OR ").any(|alternative| {
        let mut terms = alternative.split(" AND ").map(str::trim);
        terms.all(|term| LICENCES.contains(&term))
    })
}

#[test]
fn licences_of_dependencies_are_on_the_list() {
    for (expression, allowed) in [
        ("MIT OR GPL-3.0", true),
        ("MIT/Apache-2.0", true),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", true),
        ("GPL-3.0", false),
        ("MIT AND GPL-3.0", false),
    ] {
        assert_eq!(is_allowed(expression), allowed, "{expression}");
    }
    let host = Command::new("rustc").arg("-vV").output().expect("rustc");
    let host = String::from_utf8_lossy(&host.stdout).into_owned();
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("a host");
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--offline",
            "--filter-platform",
            host,
        ])
        .current_dir(root())
        .output()
        .expect("cargo metadata");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata's JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 50);
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        assert!(
            is_allowed(licence),
            "{} is licensed under {licence}",
            package["name"]
        );
    }
}

/// The code map names directories (with a slash at the end) and files, each in backquotes at the start of
/// a table's row.
#[test]
fn the_map_is_true() {
    let architecture = read("ARCHITECTURE.md");
    let rows: Vec<&str> = architecture
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(path, _)| path)
        .filter(|path| path.contains('/'))
        .collect();
    assert!(rows.len() > 20, "the map has rows");
    for row in &rows {
        assert!(
            root().join(row).exists(),
            "ARCHITECTURE.md names {row}, which does not exist"
        );
    }
    for path in sources() {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let on_map = rows.iter().any(|row| {
            *row == path
                || row
                    .strip_suffix('/')
                    .is_some_and(|directory| directory == parent)
        });
        assert!(on_map, "{path} is not on ARCHITECTURE.md's map");
    }
}

#[test]
fn documents_link_to_what_exists() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SEMANTICS.md",
        "PROTOCOL.md",
        "docs/performance.md",
        "docs/operations.md",
        "docs/recovery.md",
        "docs/reference/README.md",
        "deploy/scenarios/README.md",
    ] {
        let text = read(document);
        for (at, _) in text.match_indices("](") {
            let link = text[at + 2..].split(')').next().expect("a link");
            let path = link.split('#').next().expect("a path");
            if !path.is_empty() && !path.starts_with("http") {
                let beside = root().join(document).with_file_name(path);
                assert!(beside.exists(), "{document} links to {link}");
            }
        }
    }
}
