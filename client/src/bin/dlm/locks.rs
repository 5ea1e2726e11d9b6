//! `dlm locks`.

use std::fmt::Write;

use clap::Args;
use dlm_client::graph::time;
use dlm_client::inspect::{self, Lock, Resource};
use dlm_client::pattern::fits_object;
use dlm_client::{Mode, Servers};

use crate::error::CommandError;
use crate::output::{Elements, Output};
use crate::warning;

#[derive(Debug, Args)]
pub(crate) struct LocksArguments {
    /// Only this lockspace.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    lockspace: Option<String>,

    /// Only resources with a name like this: * is any text, ? one character. Names are compared as they are
    /// shown, glocks as "inode 0x102ab" or as "2/102ab".
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,

    /// Only locks that wait or convert.
    #[arg(long)]
    waiting: bool,

    /// As one JSON document, {"locks": [...]}, with a lock on each line. It is written as it comes: if the
    /// server fails meanwhile it has no end.
    #[arg(long)]
    json: bool,
}

pub(crate) const HELP: &str = "\
Columns:
  MODE      EX is held, PR>EX is held and converts, >EX waits
  TIME      since when that is so
  TOKEN     the fencing token of the last grant
  TASK      the number of the task in its session; 0 is nobody in particular
  SESSION   its name and number
  RESOURCE  lockspace and name; bytes that are not printable ASCII as \\xNN.
            Behind it: whether the lock is an orphan, and whether the resource
            has a value block, and a valid one

Example: the locks that wait for jobs
  dlm locks --waiting --lockspace default --name 'job*'";

const HEADER: &str = "MODE     TIME           TOKEN    TASK  SESSION             RESOURCE\n";

pub(crate) async fn run(servers: &Servers, arguments: &LocksArguments) -> Result<(), CommandError> {
    let mut locks = inspect::locks(servers, arguments.lockspace.as_deref()).await?;
    let mut output = Output::open(None)?;
    let mut elements = Elements::begin();
    let (mut text, mut any) = (String::new(), false);
    if arguments.json {
        text.push_str("{\"locks\": [");
    }
    while let Some(mut part) = locks.next_part().await? {
        if !arguments.select(&mut part) {
            continue;
        }
        if arguments.json {
            for lock in part.listed() {
                elements.push(&lock, &mut text);
            }
        } else {
            if !any {
                text.push_str(HEADER);
            }
            for lock in &part.locks {
                write_line(&part, lock, &mut text).expect("writing to a string");
            }
        }
        any = true;
        output.text(&text)?;
        text.clear();
    }
    if arguments.json {
        elements.end(&mut text);
        text.push_str("]}\n");
    } else if !any {
        text.push_str(arguments.nothing());
    }
    output.text(&text)?;
    output.finish()?;
    warning::incomplete(locks.coverage());
    Ok(())
}

impl LocksArguments {
    /// Takes out what is not wanted. Whether anything is left.
    fn select(&self, part: &mut Resource) -> bool {
        if self.waiting {
            part.locks.retain(|lock| lock.requested.is_some());
        }
        !part.locks.is_empty()
            && self
                .name
                .as_ref()
                .is_none_or(|name| fits_object(name, &part.object))
    }

    const fn nothing(&self) -> &'static str {
        match (
            self.waiting,
            self.name.is_some() || self.lockspace.is_some(),
        ) {
            (false, false) => "There are no locks.\n",
            (false, true) => "There are no such locks.\n",
            (true, false) => "No lock waits.\n",
            (true, true) => "No such lock waits.\n",
        }
    }
}

fn write_line(resource: &Resource, lock: &Lock, to: &mut String) -> std::fmt::Result {
    let name = |mode: Option<Mode>| mode.map_or("", Mode::name);
    let mode = match lock.requested {
        None => name(lock.granted).to_owned(),
        Some(requested) => format!("{:>2}>{requested}", name(lock.granted)),
    };
    let (age, token, owner) = (time(lock.age_us), lock.token, lock.owner);
    let session = format!("{} ({})", lock.session_name, lock.session);
    let object = &resource.object;
    write!(
        to,
        "{mode:5} {age:>7} {token:>15} {owner:>7}  {session:18}  {object}"
    )?;
    if lock.orphan {
        to.push_str(", orphan");
    }
    match (&resource.value, resource.value_valid) {
        (None, true) => {}
        (Some(_), true) => to.push_str(", value"),
        (_, false) => to.push_str(", value not valid"),
    }
    to.push('\n');
    Ok(())
}

#[cfg(test)]
mod tests {
    use dlm_client::graph::Object;
    use dlm_client::inspect::Queue;
    use dlm_client::{RequestFlags, ResourceName, StatusFlags};

    use super::*;

    fn lock(modes: (Option<Mode>, Option<Mode>)) -> Lock {
        Lock {
            session: 3,
            session_name: "node1".into(),
            lock: 1,
            owner: 7,
            queue: Queue::Granted,
            granted: modes.0,
            requested: modes.1,
            flags: RequestFlags::empty(),
            status_flags: StatusFlags::empty(),
            token: 42,
            told: None,
            age_us: 1_249_000,
            orphan: false,
        }
    }

    fn resource(name: &[u8], locks: Vec<Lock>) -> Resource {
        let name = ResourceName::new(name).unwrap();
        Resource {
            object: Object {
                lockspace: "volume".into(),
                name,
            },
            value: None,
            value_valid: true,
            locks,
            server: 1,
            epoch: 1,
        }
    }

    #[test]
    fn a_line_for_each_lock_in_the_columns_of_the_header() {
        let glock = b"       2           102ab";
        let mut lines = HEADER.to_owned();
        let modes = [
            (Some(Mode::Ex), None),
            (Some(Mode::Pr), Some(Mode::Ex)),
            (None, Some(Mode::Cw)),
        ];
        let mut resource = resource(glock, modes.map(lock).into());
        for lock in &resource.locks {
            write_line(&resource, lock, &mut lines).unwrap();
        }
        resource.value = Some(vec![0; 32]);
        resource.locks[0].orphan = true;
        write_line(&resource, &resource.locks[0], &mut lines).unwrap();
        resource.value_valid = false;
        write_line(&resource, &resource.locks[1], &mut lines).unwrap();
        let expected = "\
MODE     TIME           TOKEN    TASK  SESSION             RESOURCE
EX      1.2 s              42       7  node1 (3)           volume inode 0x102ab
PR>EX   1.2 s              42       7  node1 (3)           volume inode 0x102ab
  >CW   1.2 s              42       7  node1 (3)           volume inode 0x102ab
EX      1.2 s              42       7  node1 (3)           volume inode 0x102ab, orphan, value
PR>EX   1.2 s              42       7  node1 (3)           volume inode 0x102ab, value not valid
";
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_is_wanted_is_left() {
        let arguments = |name: Option<&str>, waiting| LocksArguments {
            lockspace: None,
            name: name.map(str::to_owned),
            waiting,
            json: false,
        };
        let held = || vec![lock((Some(Mode::Ex), None))];
        let glock = b"       2           102ab";
        for (pattern, name, expected) in [
            ("night*", &b"nightly"[..], true),
            ("night", b"nightly", false),
            ("a\\x0a", b"a\n", true),
            ("inode *", glock, true),
            ("2/102ab", glock, true),
            ("       2*", glock, true),
        ] {
            let selected = arguments(Some(pattern), false).select(&mut resource(name, held()));
            assert_eq!(selected, expected, "{pattern}");
        }
        assert!(!arguments(None, true).select(&mut resource(b"r", held())));
    }
}
