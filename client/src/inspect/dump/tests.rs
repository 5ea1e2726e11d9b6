//! Exact texts, made by hand from the descriptions of the formats.

use dlm_core::{RequestFlags, StatusFlags};

use super::*;
use crate::graph::Object;

fn lock(session: u64, lock: u64, queue: Queue, modes: (Option<Mode>, Option<Mode>)) -> Lock {
    Lock {
        session,
        session_name: format!("node{session}"),
        lock,
        owner: 0,
        queue,
        granted: modes.0,
        requested: modes.1,
        flags: RequestFlags::empty(),
        status_flags: StatusFlags::empty(),
        token: 0,
        told: None,
        age_us: 0,
        orphan: false,
    }
}

fn resource(name: &[u8], value: Option<Vec<u8>>, locks: Vec<Lock>) -> Resource {
    Resource {
        object: Object {
            lockspace: "volume".into(),
            name: ResourceName::new(name).unwrap(),
        },
        value_valid: value.is_none(),
        value,
        locks,
        server: 1,
        epoch: 1,
    }
}

/// A glock's resource with a lock in each queue, and one with a name that no line could hold.
fn resources() -> [Resource; 2] {
    let holds = Lock {
        owner: 7,
        flags: RequestFlags::VALBLK | RequestFlags::CONVERT,
        told: Some(Mode::Ex),
        age_us: 1_500_000,
        ..lock(1, 0x2a, Queue::Granted, (Some(Mode::Pr), None))
    };
    let converts = Lock {
        flags: RequestFlags::CONVERT | RequestFlags::QUECVT,
        age_us: 20_000,
        ..lock(2, 3, Queue::Converting, (Some(Mode::Pr), Some(Mode::Ex)))
    };
    let waits = Lock {
        age_us: 10_000,
        ..lock(3, 1, Queue::Waiting, (None, Some(Mode::Cw)))
    };
    let orphan = Lock {
        orphan: true,
        flags: RequestFlags::PERSISTENT,
        ..lock(1, 5, Queue::Granted, (Some(Mode::Nl), None))
    };
    let name = b"       2           102ab";
    let value: Vec<u8> = (0..32).collect();
    [
        resource(name, Some(value), vec![holds, converts, waits]),
        resource(b"a\n\"b", None, vec![orphan]),
    ]
}

fn dump(file: DlmFile, view: View) -> String {
    let mut text = String::new();
    let mut dump = DlmDump::begin(file, view, &mut text);
    for resource in resources() {
        dump.resource(&resource, 2_000_000, &mut text);
    }
    text
}

#[test]
fn the_rows_of_locks() {
    let header =
        "id nodeid remid pid xid exflags flags sts grmode rqmode time_ms r_nodeid r_len r_name\n";
    assert_eq!(
        dump(DlmFile::Locks, View::Cluster),
        header.to_owned()
            + "\
10000002a 1 2a 7 0 c 10000 2 3 -1 1500000 0 24 \"       2           102ab\"
200000003 2 3 0 0 14 10000 3 3 5 20000 0 24 \"       2           102ab\"
300000001 3 1 0 0 0 10000 1 -1 2 10000 0 24 \"       2           102ab\"
100000005 1 5 0 0 80 10002 2 0 -1 0 0 4 \"a.\"b\"
"
    );
    // Its own are those of node 0, and what it has no lock on it does not see.
    assert_eq!(
        dump(DlmFile::Locks, View::Session(2)),
        header.to_owned()
            + "\
10000002a 1 2a 7 0 c 10000 2 3 -1 1500000 0 24 \"       2           102ab\"
200000003 0 0 0 0 14 0 3 3 5 20000 0 24 \"       2           102ab\"
300000001 3 1 0 0 0 10000 1 -1 2 10000 0 24 \"       2           102ab\"
"
    );
}

#[test]
fn the_rows_of_everything() {
    assert_eq!(
        dump(DlmFile::All, View::Cluster),
        "\
version rsb 1.1 lvb 1.1 lkb 1.1
rsb 0000000000000001 0 0 2 0 0 0 24 str        2           102ab
lvb 0 32 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f
lkb 10000002a 1 2a 7 0 c 10000 2 3 -1 5 0 0 0 500000000 0
lkb 200000003 2 3 0 0 14 10000 3 3 5 -1 0 2 0 1980000000 0
lkb 300000001 3 1 0 0 0 10000 1 -1 2 -1 0 1 0 1990000000 0
rsb 0000000000000002 0 0 0 0 0 0 4 hex 61 0a 22 62
lkb 100000005 1 5 0 0 80 10002 2 0 -1 -1 0 0 0 2000000000 0
"
    );
}

#[test]
fn the_rows_of_what_waits() {
    assert_eq!(
        dump(DlmFile::Waiters, View::Cluster),
        "\
200000003 2 2        2           102ab
300000001 1 3        2           102ab
"
    );
    // A master waits for nobody's answer.
    assert_eq!(dump(DlmFile::Waiters, View::Session(2)), "");
}

#[test]
fn the_file_for_people() {
    let cluster = dump(DlmFile::Human, View::Cluster);
    let converts = "\nConversion Queue\n200000003 PR (EX) Remote:   2 00000003 wait_type: 2\n";
    assert!(cluster.contains(converts), "{cluster}");
    assert_eq!(
        dump(DlmFile::Human, View::Session(1)),
        "
Resource 0000000000000001 Name (len=24) \"       2           102ab\"
Master Copy
LVB: 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f
     10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f (INVALID)
Granted Queue
10000002a PR
Conversion Queue
200000003 PR (EX) Remote:   2 00000003
Waiting Queue
300000001 -- (CW) Remote:   3 00000001

Resource 0000000000000002 Name (len=4) \"a.\"b\"
Master Copy
Granted Queue
100000005 NL
Conversion Queue
Waiting Queue
"
    );
}
