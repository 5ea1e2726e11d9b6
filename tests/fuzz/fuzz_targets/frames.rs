//! Bytes as frames of a client and of a server.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::frames::run(bytes));
