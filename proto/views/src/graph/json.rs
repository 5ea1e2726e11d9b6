//! The lock graph for programs.

use dlm_core::Mode;
use dlm_core::deadlock::{Queue, Reason, Role};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{GraphSnapshot, Object};

/// One JSON document: the fields of [`GraphSnapshot`], modes by their two letters, times in
/// microseconds, names with every byte that is not printable ASCII as `\xNN`.
#[must_use]
pub fn render(snapshot: &GraphSnapshot) -> String {
    let text = serde_json::to_string_pretty(snapshot);
    text.expect("numbers and strings are always JSON") + "\n"
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Object", 3)?;
        fields.serialize_field("lockspace", &self.lockspace)?;
        fields.serialize_field("name", &self.name.to_string())?;
        let glock = self.glock().map(|glock| glock.to_string());
        fields.serialize_field("glock", &glock)?;
        fields.end()
    }
}

pub(super) fn mode<S: Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(mode.name())
}

/// A mode by its two letters, or nothing; for serde.
///
/// # Errors
/// The serializer's.
pub fn mode_or_none<S: Serializer>(mode: &Option<Mode>, serializer: S) -> Result<S::Ok, S::Error> {
    mode.map(Mode::name).serialize(serializer)
}

/// A queue by its name; for serde.
///
/// # Errors
/// The serializer's.
pub fn queue<S: Serializer>(queue: &Queue, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match queue {
        Queue::Granted => "granted",
        Queue::Converting => "converting",
        Queue::Waiting => "waiting",
    })
}

pub(super) fn reason<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match reason {
        Reason::Holds => "holds",
        Reason::Queued => "queued",
    })
}

pub(super) fn role<S: Serializer>(role: &Role, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match role {
        Role::Operation => "operation",
        Role::Pin => "pin",
        Role::Fault => "fault",
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::graph::examples;

    #[test]
    fn the_document_has_what_a_program_needs() {
        let text = render(&examples::cross());
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["cycles"], json!([[0, 1]]));
        assert_eq!(document["silent"], json!([]));
        let edge = &document["edges"][0];
        assert_eq!(edge["waiter"]["session_name"], "node1");
        assert_eq!(edge["glock"], "2/102ab");
        assert_eq!(edge["name"], "       2           102ab");
        assert_eq!(edge["wants"], "PR");
        assert_eq!(edge["role"], "operation");
        let lock = &document["resources"][0]["locks"][1];
        assert_eq!(lock["queue"], "converting");
        assert_eq!(
            (&lock["granted"], &lock["requested"]),
            (&json!("NL"), &json!("PR"))
        );
        let whole: Value = serde_json::from_str(&render(&GraphSnapshot::default())).unwrap();
        assert_eq!(
            whole,
            json!({
                "resources": [], "edges": [], "cycles": [], "silent": [],
                "coverage": {"slots": 0, "unreachable": []}
            })
        );
    }
}
