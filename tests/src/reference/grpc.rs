//! The page of the services: from the descriptors, what each service is for from the list here.

use std::fmt::Write as _;

use glockwork_proto::{FENCE_DESCRIPTORS, NODE_DESCRIPTORS, SERVER_DESCRIPTORS};

use super::prose::{cell, paragraphs, slug};
use super::schema::{Call, Content, Field, FieldKind, File, Payload, Service, Type, files};
use super::{Page, ReferenceError};

/// What is said of a service besides its file's comments.
struct Known {
    service: &'static str,
    by: &'static str,
    /// Whom it is for.
    whom: &'static str,
    /// It is part of how servers work together, and no client has to do with it.
    is_internal: bool,
}

const LOCK_SERVER: &str = "lock server";

/// Every service. The page has them in this order.
const SERVICES: [Known; 9] = [
    known("Cluster", LOCK_SERVER, "clients, and operators by `dlm`"),
    known("Link", LOCK_SERVER, "clients that hold locks"),
    known("Lock", LOCK_SERVER, "operators: `dlm purge`"),
    known(
        "Inspect",
        LOCK_SERVER,
        "whoever looks at locks: `dlm`, the page",
    ),
    known("Fault", LOCK_SERVER, "tests: `dlm fault`"),
    known(
        "Node",
        "filesystem node",
        "whoever gives nodes orders: `dlm node`, `dlm workload`",
    ),
    known("Fence", "fence agent", "lock servers, by `dlm fence call`"),
    internal("Peer"),
    internal("Founding"),
];

const fn known(service: &'static str, by: &'static str, whom: &'static str) -> Known {
    Known {
        service,
        by,
        whom,
        is_internal: false,
    }
}

const fn internal(service: &'static str) -> Known {
    Known {
        service,
        by: LOCK_SERVER,
        whom: "**internal**: lock servers among themselves",
        is_internal: true,
    }
}

/// The head of the page. Its examples are against a server that was started without arguments.
const HEAD: &str = include_str!("grpc_head.md");

pub(super) fn page() -> Result<Page, ReferenceError> {
    let files = sorted()?;
    let mut text = HEAD.to_owned();
    contents(&files, &mut text)?;
    for file in &files {
        one_file(file, &mut text)?;
    }
    Ok(Page {
        name: "grpc.md".into(),
        text,
    })
}

/// All files, in the order of the services in the list.
fn sorted() -> Result<Vec<File>, ReferenceError> {
    let mut all = Vec::new();
    for encoded in [SERVER_DESCRIPTORS, NODE_DESCRIPTORS, FENCE_DESCRIPTORS] {
        all.extend(files(encoded)?);
    }
    let mut keyed = Vec::new();
    for file in all {
        let mut places = Vec::new();
        for service in &file.services {
            places.push(find(service)?.0);
        }
        keyed.push((places.into_iter().min(), file));
    }
    // A file without a service comes last.
    keyed.sort_by_key(|&(place, _)| place.unwrap_or(SERVICES.len()));
    Ok(keyed.into_iter().map(|(_, file)| file).collect())
}

fn find(service: &Service) -> Result<(usize, &'static Known), ReferenceError> {
    let mut listed = SERVICES.iter().enumerate();
    listed
        .find(|(_, known)| known.service == service.name)
        .ok_or_else(|| ReferenceError::UnknownService(service.name.clone()))
}

fn contents(files: &[File], text: &mut String) -> Result<(), ReferenceError> {
    text.push_str("\n## Services\n\n| service | served by | for | calls |\n|---|---|---|---|\n");
    for service in files.iter().flat_map(|file| &file.services) {
        let (_, known) = find(service)?;
        let calls = service.calls.iter().map(|call| {
            let anchor = slug(&call_heading(service, call));
            format!("[{}](#{anchor})", call.name)
        });
        let calls: Vec<String> = calls.collect();
        let _ = writeln!(
            text,
            "| [{}](#{}) | {} | {} | {} |",
            service.name,
            slug(&service_heading(service)),
            known.by,
            known.whom,
            calls.join(", ")
        );
    }
    Ok(())
}

fn one_file(file: &File, text: &mut String) -> Result<(), ReferenceError> {
    let _ = write!(text, "\n## {}\n", file.name);
    said(&file.about, text);
    let names = file.types.iter().map(|one| {
        let anchor = slug(&type_heading(one));
        format!("[{}](#{anchor})", one.name)
    });
    let names: Vec<String> = names.collect();
    let _ = write!(text, "\nMessages and enums: {}.\n", names.join(", "));
    for service in &file.services {
        one_service(service, text)?;
    }
    for one in &file.types {
        one_type(one, text);
    }
    Ok(())
}

fn one_service(service: &Service, text: &mut String) -> Result<(), ReferenceError> {
    let (_, known) = find(service)?;
    let _ = write!(
        text,
        "\n### {}\n\nServed by the {}. For {}.\n",
        service_heading(service),
        known.by,
        if known.is_internal {
            "lock servers among themselves only: **internal**, and other in another version"
        } else {
            known.whom
        }
    );
    said(&service.about, text);
    for call in &service.calls {
        let _ = write!(
            text,
            "\n#### {}\n\n{} → {}\n",
            call_heading(service, call),
            payload(&call.request),
            payload(&call.reply)
        );
        said(&call.about, text);
    }
    Ok(())
}

fn one_type(one: &Type, text: &mut String) {
    let _ = write!(text, "\n### {}\n", type_heading(one));
    said(&one.about, text);
    match &one.content {
        Content::Message(fields) if fields.is_empty() => text.push_str("\nNo fields.\n"),
        Content::Message(fields) => {
            text.push_str("\n| field | number | type | |\n|---|---|---|---|\n");
            for field in fields {
                one_field(field, text);
            }
        }
        Content::Enum(values) => {
            text.push_str("\n| value | number | |\n|---|---|---|\n");
            for value in values {
                let about = cell(&value.about);
                let _ = writeln!(text, "| `{}` | {} | {about} |", value.name, value.number);
            }
        }
    }
}

fn one_field(field: &Field, text: &mut String) {
    let kind = match &field.kind {
        FieldKind::Scalar(name) => name.clone(),
        FieldKind::Message(name) => format!("[{name}](#{})", slug(&format!("message {name}"))),
        FieldKind::Enum(name) => format!("[{name}](#{})", slug(&format!("enum {name}"))),
    };
    let one_of = field.one_of.as_ref();
    let one_of = one_of.map(|group| format!("One of `{group}`."));
    let about = cell(&field.about);
    let about: Vec<&str> = [one_of.as_deref().unwrap_or_default(), &about]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect();
    let _ = writeln!(
        text,
        "| `{}` | {} | {} | {} |",
        field.name,
        field.number,
        format!("{} {kind}", field.label).trim(),
        about.join(" ")
    );
}

/// A comment under a heading, where there is one.
fn said(about: &str, text: &mut String) {
    if !about.is_empty() {
        let _ = write!(text, "\n{}\n", paragraphs(about));
    }
}

fn payload(payload: &Payload) -> String {
    let anchor = slug(&format!("message {}", payload.message));
    let stream = if payload.is_stream { "stream of " } else { "" };
    format!("{stream}[{}](#{anchor})", payload.message)
}

// Headings name what they are of: a service, a message and an enum may be called the same.

fn service_heading(service: &Service) -> String {
    format!("service {}", service.name)
}

fn call_heading(service: &Service, call: &Call) -> String {
    format!("rpc {}.{}", service.name, call.name)
}

fn type_heading(one: &Type) -> String {
    match one.content {
        Content::Message(_) => format!("message {}", one.name),
        Content::Enum(_) => format!("enum {}", one.name),
    }
}
