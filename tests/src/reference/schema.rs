//! What the `.proto` files say, with their comments: read from the descriptors that server reflection gives out.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type as Kind};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, ServiceDescriptorProto, SourceCodeInfo,
};

use super::ReferenceError;

/// A `.proto` file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) services: Vec<Service>,
    /// Messages and enums, in the order in which they stand in the file.
    pub(super) types: Vec<Type>,
}

#[derive(Debug)]
pub(super) struct Service {
    /// Without its package, as all names here.
    pub(super) name: String,
    pub(super) about: String,
    pub(super) calls: Vec<Call>,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) request: Payload,
    pub(super) reply: Payload,
}

/// What goes one way in a call.
#[derive(Debug)]
pub(super) struct Payload {
    pub(super) message: String,
    pub(super) is_stream: bool,
}

#[derive(Debug)]
pub(super) struct Type {
    /// With the names of the messages that it stands in, and points between them.
    pub(super) name: String,
    pub(super) about: String,
    pub(super) content: Content,
    /// Where it stands in the file.
    line: i32,
}

#[derive(Debug)]
pub(super) enum Content {
    Message(Vec<Field>),
    Enum(Vec<Value>),
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) number: i32,
    /// `repeated`, `optional` or nothing.
    pub(super) label: &'static str,
    pub(super) kind: FieldKind,
    /// The group of fields of which only one is set.
    pub(super) one_of: Option<String>,
}

#[derive(Debug)]
pub(super) enum FieldKind {
    /// A type of the language.
    Scalar(String),
    Message(String),
    Enum(String),
}

#[derive(Debug)]
pub(super) struct Value {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) number: i32,
}

/// Reads an encoded set of descriptors.
///
/// # Errors
/// [`ReferenceError::Descriptors`].
pub(super) fn files(encoded: &[u8]) -> Result<Vec<File>, ReferenceError> {
    let set = FileDescriptorSet::decode(encoded);
    let set = set.map_err(|error| ReferenceError::Descriptors(error.to_string()))?;
    set.file.iter().map(file).collect()
}

fn file(described: &FileDescriptorProto) -> Result<File, ReferenceError> {
    let info = described.source_code_info.as_ref();
    let info = info.ok_or_else(|| {
        let name = described.name();
        ReferenceError::Descriptors(format!("{name} is there without its comments"))
    })?;
    let source = Source::of(info);
    let mut types = Vec::new();
    for (at, message) in (0..).zip(&described.message_type) {
        source.messages(message, "", &[4, at], &mut types);
    }
    for (at, one) in (0..).zip(&described.enum_type) {
        types.push(source.enumeration(one, "", &[5, at]));
    }
    types.sort_by_key(|one| one.line);
    let services = (0..).zip(&described.service);
    Ok(File {
        name: described.name().to_owned(),
        // What stands above `syntax`.
        about: source.comment(&[12]),
        services: services
            .map(|(at, service)| source.service(service, &[6, at]))
            .collect(),
        types,
    })
}

/// Comments and lines by path. A path is a descriptor's field numbers and indices, from the file's descriptor
/// down to what it is about: `[4, 1, 2, 0]` is the first field (2) of the second message (4).
struct Source(BTreeMap<Vec<i32>, (String, i32)>);

impl Source {
    fn of(info: &SourceCodeInfo) -> Self {
        let places = info.location.iter().map(|location| {
            let apart = location.leading_detached_comments.iter();
            let comments = apart
                .map(String::as_str)
                .chain([location.leading_comments(), location.trailing_comments()])
                .map(plain)
                .filter(|comment| !comment.is_empty());
            let comments: Vec<String> = comments.collect();
            let line = location.span.first().copied().unwrap_or_default();
            (location.path.clone(), (comments.join("\n\n"), line))
        });
        Self(places.collect())
    }

    fn comment(&self, path: &[i32]) -> String {
        let place = self.0.get(path);
        place
            .map(|(comment, _)| comment.clone())
            .unwrap_or_default()
    }

    fn line(&self, path: &[i32]) -> i32 {
        self.0.get(path).map_or(0, |&(_, line)| line)
    }

    fn service(&self, described: &ServiceDescriptorProto, path: &[i32]) -> Service {
        let payload = |message: &str, is_stream| Payload {
            message: unpackaged(message),
            is_stream,
        };
        let calls = (0..).zip(&described.method).map(|(at, method)| Call {
            name: method.name().to_owned(),
            about: self.comment(&inside(path, 2, at)),
            request: payload(method.input_type(), method.client_streaming()),
            reply: payload(method.output_type(), method.server_streaming()),
        });
        Service {
            name: described.name().to_owned(),
            about: self.comment(path),
            calls: calls.collect(),
        }
    }

    /// A message and those within it.
    fn messages(
        &self,
        described: &DescriptorProto,
        outer: &str,
        path: &[i32],
        types: &mut Vec<Type>,
    ) {
        let name = format!("{outer}{}", described.name());
        let fields = (0..).zip(&described.field);
        let fields = fields.map(|(at, field)| {
            let about = self.comment(&inside(path, 2, at));
            self::field(described, field, about)
        });
        types.push(Type {
            name: name.clone(),
            about: self.comment(path),
            content: Content::Message(fields.collect()),
            line: self.line(path),
        });
        let prefix = format!("{name}.");
        for (at, message) in (0..).zip(&described.nested_type) {
            self.messages(message, &prefix, &inside(path, 3, at), types);
        }
        for (at, one) in (0..).zip(&described.enum_type) {
            types.push(self.enumeration(one, &prefix, &inside(path, 4, at)));
        }
    }

    fn enumeration(&self, described: &EnumDescriptorProto, outer: &str, path: &[i32]) -> Type {
        let values = (0..).zip(&described.value).map(|(at, value)| Value {
            name: value.name().to_owned(),
            about: self.comment(&inside(path, 2, at)),
            number: value.number(),
        });
        Type {
            name: format!("{outer}{}", described.name()),
            about: self.comment(path),
            content: Content::Enum(values.collect()),
            line: self.line(path),
        }
    }
}

fn field(message: &DescriptorProto, field: &FieldDescriptorProto, about: String) -> Field {
    // An optional field is alone in a group that the compiler made for it.
    let group = field.oneof_index.filter(|_| !field.proto3_optional());
    let group = group.and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
    let label = match field.label() {
        Label::Repeated => "repeated",
        _ if field.proto3_optional() => "optional",
        _ => "",
    };
    let name = unpackaged(field.type_name());
    let kind = match field.r#type() {
        Kind::Message | Kind::Group => FieldKind::Message(name),
        Kind::Enum => FieldKind::Enum(name),
        scalar => FieldKind::Scalar(
            scalar
                .as_str_name()
                .trim_start_matches("TYPE_")
                .to_lowercase(),
        ),
    };
    Field {
        name: field.name().to_owned(),
        about,
        number: field.number(),
        label,
        kind,
        one_of: group.map(|group| group.name().to_owned()),
    }
}

/// The path of the `at`th of what has this field number in the descriptor that `path` leads to.
fn inside(path: &[i32], number: i32, at: i32) -> Vec<i32> {
    [path, &[number, at]].concat()
}

/// A comment without the blank that stands after `//`.
fn plain(comment: &str) -> String {
    let lines = comment.lines();
    let lines: Vec<&str> = lines
        .map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end())
        .collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// A type's name as it is called within its package.
fn unpackaged(name: &str) -> String {
    name.trim_start_matches(".glockwork.v1.").to_owned()
}
