//! Compiles the .proto files with a compiler written in Rust, so that no system protoc is needed.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

/// What lock servers serve.
const SERVER: [&str; 7] = [
    "lock.proto",
    "link.proto",
    "inspect.proto",
    "cluster.proto",
    "peer.proto",
    "founding.proto",
    "fault.proto",
];
/// What filesystem nodes serve.
const NODE: [&str; 1] = ["node.proto"];
/// What a fence agent serves.
const FENCE: [&str; 1] = ["fence.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Each program's reflection describes what it serves, and nothing else.
    for (name, files) in [
        ("server.bin", &SERVER[..]),
        ("node.bin", &NODE),
        ("fence.bin", &FENCE),
    ] {
        let described = protox::compile(files, ["proto"])?;
        fs::write(out.join(name), prost::Message::encode_to_vec(&described))?;
    }

    // Names are `Bytes`: a slice of the frame's own buffer, without an allocation for each.
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(protox::compile(
            SERVER.iter().chain(&NODE).chain(&FENCE),
            ["proto"],
        )?)?;
    Ok(())
}
