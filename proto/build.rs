//! Compiles the .proto files with a compiler written in Rust, so that no system protoc is needed.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let files = protox::compile(
        [
            "lock.proto",
            "link.proto",
            "inspect.proto",
            "cluster.proto",
            "peer.proto",
            "founding.proto",
            "fault.proto",
            "node.proto",
        ],
        ["proto"],
    )?;

    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(
        out.join("descriptor.bin"),
        prost::Message::encode_to_vec(&files),
    )?;

    // Names are `Bytes`: a slice of the frame's own buffer, without an allocation for each.
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(files)?;
    Ok(())
}
