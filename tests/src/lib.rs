//! What the tests across crates are built from: a cluster inside the test's process, a watchdog, and the
//! rule about machines that lack something.

pub mod browser;
pub mod checkers;
pub mod cluster;
pub mod collector;
pub mod deadline;
pub mod fuzz;
pub mod machine;
pub mod oracle;
pub mod process;
pub mod reference;
pub mod ring;
pub mod sim;
