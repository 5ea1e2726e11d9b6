//! The glocks of all nodes, as each of them sees its own.

use std::fmt;

use dlm_core::Mode;
use glock_core::{GlockDump, GlockFlags, GlockName, HolderDump, HolderFlags, State};
use glockwork_proto::{WireError, convert, glocks as proto, wire};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use tonic::Streaming;

use super::{InspectError, answer, connect, next, unreadable};
use crate::endpoints::Servers;

/// The glocks of one session in one lockspace, or some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeGlocks {
    /// The lockspace's name.
    pub lockspace: String,
    /// Whose they are.
    pub session: u64,
    /// What people call that session.
    pub session_name: String,
    /// They, in the order of their names.
    pub glocks: Vec<NodeGlock>,
    /// Whether the session did not answer in time, so that what follows of its glocks is not known.
    pub silent: bool,
}

/// A glock as its node sees it.
///
/// In JSON: `glock` (type and number as gfs2 writes them), `state`, `target` and `demanded` as UN, SH, DF
/// or EX, `demanded_us`, `flags` as gfs2's letters, `references`, `hold_ms`, `holders` (each with `state`,
/// `flags`, `granted`, `owner`, `task`, `age_us`), `holders_left_out`, `object` (the object's own lines).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeGlock {
    /// What a dump shows of it.
    pub dump: GlockDump,
    /// What the holders' tasks are called, where that is known.
    pub tasks: Vec<Option<String>>,
    /// How many holders more there are.
    pub holders_left_out: u32,
    /// What its object says of itself; lines without a newline at the end.
    pub object: Option<String>,
}

/// The glocks that a server collects. It holds a page of them at a time.
#[derive(Debug)]
pub struct Glocks {
    endpoint: String,
    pages: Streaming<wire::GlocksPage>,
}

/// The glocks of all sessions or of one, in all lockspaces or in one, in the order of lockspaces, sessions
/// and names. A session without glocks does not show.
///
/// # Errors
/// [`InspectError`].
pub async fn glocks(
    servers: &Servers,
    lockspace: Option<&str>,
    session: Option<u64>,
) -> Result<Glocks, InspectError> {
    let (endpoint, mut client) = connect(servers).await?;
    let asking = client.glocks(wire::GlocksRequest {
        lockspace: lockspace.unwrap_or_default().to_owned(),
        session: session.unwrap_or_default(),
        local: false,
    });
    Ok(Glocks {
        pages: answer(&endpoint, asking).await?,
        endpoint,
    })
}

impl Glocks {
    /// The next of them. `None` at the end.
    ///
    /// # Errors
    /// [`InspectError`].
    pub async fn next_page(&mut self) -> Result<Option<NodeGlocks>, InspectError> {
        let Some(page) = next(&self.endpoint, &mut self.pages).await? else {
            return Ok(None);
        };
        let page = convert::glocks_page(page).and_then(NodeGlocks::try_from);
        let page = page.map_err(|why| unreadable(&self.endpoint, why))?;
        Ok(Some(page))
    }
}

impl NodeGlock {
    /// Appends gfs2's lines: `G:`, an ` H:` for each holder, and the object's own.
    ///
    /// # Errors
    /// Whatever `to` says; a `String` says nothing.
    pub fn write(&self, to: &mut impl fmt::Write) -> fmt::Result {
        let named = || self.dump.holders.iter().zip(&self.tasks);
        let task = |owner| {
            let (_, task) = named().find(|(holder, _)| holder.owner == owner)?;
            task.as_deref()
        };
        self.dump.write(task, to)?;
        match &self.object {
            Some(lines) => writeln!(to, " {lines}"),
            None => Ok(()),
        }
    }
}

impl TryFrom<proto::GlocksPage> for NodeGlocks {
    type Error = WireError;

    fn try_from(page: proto::GlocksPage) -> Result<Self, WireError> {
        let glocks = page.glocks.into_iter().map(NodeGlock::try_from);
        Ok(Self {
            lockspace: page.lockspace,
            session: page.session.0,
            session_name: page.session_name,
            glocks: glocks.collect::<Result<_, _>>()?,
            silent: page.silent,
        })
    }
}

impl TryFrom<proto::Glock> for NodeGlock {
    type Error = WireError;

    fn try_from(glock: proto::Glock) -> Result<Self, WireError> {
        let name = GlockName::of_resource(&glock.name);
        let holder = |holder: &proto::GlockHolder| {
            Ok(HolderDump {
                state: state(holder.state)?,
                flags: HolderFlags::from_bits_truncate(holder.flags),
                granted: holder.granted,
                owner: holder.owner,
                age_us: holder.age_us,
            })
        };
        let holders = glock.holders.iter().map(holder);
        let dump = GlockDump {
            name: name.ok_or_else(|| WireError::GlockName {
                name: glock.name.to_string(),
            })?,
            state: state(glock.state)?,
            flags: GlockFlags::from_bits_truncate(glock.flags),
            target: state(glock.target)?,
            demanded: glock.demanded.map(state).transpose()?,
            demanded_us: glock.demanded_us,
            references: glock.references,
            hold_ms: glock.hold_ms,
            holders: holders.collect::<Result<_, WireError>>()?,
        };
        let tasks = glock.holders.into_iter().map(|holder| holder.task);
        Ok(Self {
            dump,
            tasks: tasks.map(|task| task.map(String::from)).collect(),
            holders_left_out: glock.holders_left_out,
            object: glock.object.map(|lines| lines.as_str().to_owned()),
        })
    }
}

fn state(mode: Mode) -> Result<State, WireError> {
    State::of_mode(mode).ok_or_else(|| WireError::GlockState { mode: mode.name() })
}

impl Serialize for NodeGlock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Holder<'a> {
            state: &'static str,
            flags: String,
            granted: bool,
            owner: u64,
            task: Option<&'a str>,
            age_us: u64,
        }

        let dump = &self.dump;
        let holders = dump.holders.iter().zip(&self.tasks);
        let holders: Vec<_> = holders
            .map(|(holder, task)| Holder {
                state: holder.state.name(),
                flags: holder.letters(),
                granted: holder.granted,
                owner: holder.owner.0,
                task: task.as_deref(),
                age_us: holder.age_us,
            })
            .collect();
        let mut fields = serializer.serialize_struct("NodeGlock", 11)?;
        fields.serialize_field("glock", &dump.name.to_string())?;
        fields.serialize_field("state", dump.state.name())?;
        fields.serialize_field("target", dump.target.name())?;
        fields.serialize_field("demanded", &dump.demanded.map(State::name))?;
        fields.serialize_field("demanded_us", &dump.demanded_us)?;
        fields.serialize_field("flags", &dump.flags.letters())?;
        fields.serialize_field("references", &dump.references)?;
        fields.serialize_field("hold_ms", &dump.hold_ms)?;
        fields.serialize_field("holders", &holders)?;
        fields.serialize_field("holders_left_out", &self.holders_left_out)?;
        fields.serialize_field("object", &self.object)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::Owner;
    use serde_json::json;

    use super::*;

    fn glock() -> proto::Glock {
        proto::Glock {
            name: GlockName::inode(0x102ab).resource(),
            state: Mode::Pr,
            target: Mode::Ex,
            demanded: Some(Mode::Nl),
            demanded_us: 71,
            flags: (GlockFlags::LOCKED | GlockFlags::DEMOTE | GlockFlags::QUEUED).bits(),
            references: 3,
            hold_ms: 2,
            holders: vec![
                proto::GlockHolder {
                    state: Mode::Pr,
                    flags: 0,
                    granted: true,
                    owner: Owner(7),
                    task: glockwork_proto::Name::new("reader 1").ok(),
                    age_us: 12,
                },
                proto::GlockHolder {
                    state: Mode::Ex,
                    flags: HolderFlags::NOCACHE.bits(),
                    granted: false,
                    owner: Owner(9),
                    task: None,
                    age_us: 5,
                },
            ],
            holders_left_out: 0,
            object: proto::ObjectLines::lossy("I: n:13/66219 t:8 f:0x00 d:0x00000000 s:4096 p:1"),
        }
    }

    #[test]
    fn the_lines_are_gfs2s() {
        let mut text = String::new();
        NodeGlock::try_from(glock())
            .unwrap()
            .write(&mut text)
            .unwrap();
        assert_eq!(
            text,
            "\
G:  s:SH n:2/102ab f:lDq t:EX d:UN/71 a:0 v:0 r:3 m:2 p:0
 H: s:SH f:H e:0 p:7 [reader 1]
 H: s:EX f:cW e:0 p:9 [(none)]
 I: n:13/66219 t:8 f:0x00 d:0x00000000 s:4096 p:1
"
        );
    }

    #[test]
    fn the_document_has_the_same() {
        let document = serde_json::to_value(NodeGlock::try_from(glock()).unwrap()).unwrap();
        assert_eq!(document["glock"], "2/102ab");
        assert_eq!(
            (&document["state"], &document["demanded"]),
            (&json!("SH"), &json!("UN"))
        );
        assert_eq!(document["flags"], "lDq");
        let holder = json!({"state": "EX", "flags": "cW", "granted": false, "owner": 9, "task": null, "age_us": 5});
        assert_eq!(document["holders"][1], holder);
    }

    #[test]
    fn what_is_no_glock_is_not_taken_for_one() {
        let mut named = glock();
        named.name = dlm_core::ResourceName::new(b"nightly").unwrap();
        assert!(matches!(
            NodeGlock::try_from(named),
            Err(WireError::GlockName { .. })
        ));
        let mut held = glock();
        held.state = Mode::Pw;
        assert_eq!(
            NodeGlock::try_from(held),
            Err(WireError::GlockState { mode: "PW" })
        );
    }
}
