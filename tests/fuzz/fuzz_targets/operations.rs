//! Bytes as operations on the lock table.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tests::fuzz::operations::run(bytes));
