//! The page that says what is where.

use std::fmt::Write as _;

use super::programs::PROGRAMS;
use super::{COMMAND, Page};

pub(super) fn page() -> Page {
    let mut text = String::from(
        "# Reference\n\n\
         Everything that the programs take, and every message that they exchange, as they say it themselves.\n\n\
         | page | what is there |\n\
         |---|---|\n",
    );
    for program in PROGRAMS {
        let _ = writeln!(text, "| [{0}]({0}.md) | {1} |", program.name, program.what);
    }
    text.push_str(
        "| [gRPC](grpc.md) | services, calls, messages and enums of lock servers, nodes and fence agents; how to \
         ask without a `.proto` file |\n\n\
         How things are done is said elsewhere: [operations](../operations.md), [recovery](../recovery.md), and \
         every setting of a lock server in [dlm-server.toml](../dlm-server.toml). What a client owes the servers is \
         in [PROTOCOL.md](../../PROTOCOL.md), what locks promise in [SEMANTICS.md](../../SEMANTICS.md).\n\n\
         ## How these pages are written\n\n\
         By a program, from `--help` and from the comments in [proto/proto](../../proto/proto): change those, and \
         then\n\n",
    );
    let _ = write!(
        text,
        "```console\n$ {COMMAND}\n```\n\n\
         `cargo test -p tests --test reference` fails where a page is not what that would write.\n",
    );
    Page {
        name: "README.md".into(),
        text,
    }
}
