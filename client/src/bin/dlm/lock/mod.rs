//! `dlm lock`: a command that runs while a lock is held, and not a moment longer.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use dlm_client::{
    Client, ConnectOptions, Guard, LockError, Lockspace, Owner, RequestFlags, Servers,
};
use tokio::time::timeout;

use self::supervise::{Supervised, Verdict};
use crate::cli::LockArguments;
use crate::error::CommandError;
use crate::watchdog::link::Ending;

mod supervise;

/// The lock could not be had with `--try` or within `--timeout`. `EX_TEMPFAIL` of sysexits.h: the same
/// command may succeed later.
pub(crate) const NOT_AVAILABLE: u8 = 75;

/// The variables that are there only where there is a value.
const VALUE: &str = "GLOCKWORK_VALUE";
const VALUE_VALID: &str = "GLOCKWORK_VALUE_VALID";

/// Shells report the end by a signal as this and the signal's number.
const SIGNALLED: i32 = 128;

/// The most bytes of a session's name.
const SESSION_NAME_BYTES_MAX: usize = 64;

pub(crate) async fn run(
    servers: &Servers,
    arguments: &LockArguments,
) -> Result<ExitCode, CommandError> {
    let options = ConnectOptions {
        servers: servers.clone(),
        name: session_name(),
    };
    let client = Client::connect(options).await?;
    let held = hold(&client, servers, arguments).await;
    // Whatever happened: nothing of this session is to be left when this process ends.
    client.close().await;
    held
}

/// This process, as others see it in listings.
fn session_name() -> String {
    let pid = format!(":{}", std::process::id());
    let system = rustix::system::uname();
    let mut name = String::from_utf8_lossy(system.nodename().to_bytes()).into_owned();
    name.retain(|each| !each.is_control());
    while name.len() + pid.len() > SESSION_NAME_BYTES_MAX {
        name.pop();
    }
    name + &pid
}

async fn hold(
    client: &Client,
    servers: &Servers,
    arguments: &LockArguments,
) -> Result<ExitCode, CommandError> {
    let lockspace = client.lockspace(&arguments.lockspace).await?;
    let mut guard = acquire(&lockspace, arguments).await?;
    let lease = client.lease().map_err(LockError::SessionLost)?;
    let environment = environment(&guard, arguments);
    let supervised = Supervised::start(&arguments.command, &environment, lease)?;
    let verdict = supervised.run(client, &mut guard).await?;
    match verdict {
        Verdict::Ended(ending) => {
            guard.unlock().await.map_err(|error| CommandError::Lost {
                servers: servers.to_string(),
                why: reason(&error),
            })?;
            Ok(exit_code(ending))
        }
        Verdict::Silent => Err(CommandError::Silent),
        Verdict::NotRenewed => {
            let servers = servers.to_string();
            Err(CommandError::NotRenewed { servers })
        }
        Verdict::Lost => {
            let why = match guard.unlock().await {
                Err(error) => reason(&error),
                Ok(()) => "it is not known why".into(),
            };
            let servers = servers.to_string();
            Err(CommandError::Lost { servers, why })
        }
    }
}

fn reason(error: &LockError) -> String {
    match error {
        LockError::SessionLost(lost) => lost.why.clone(),
        error => error.to_string(),
    }
}

async fn acquire(lockspace: &Lockspace, arguments: &LockArguments) -> Result<Guard, CommandError> {
    let name = arguments.name.as_bytes();
    let mode = arguments.mode;
    let request = |flags| lockspace.request(name, mode, flags | RequestFlags::VALBLK, Owner(0));
    let locked = if arguments.r#try {
        request(RequestFlags::NOQUEUE).await
    } else {
        let locking = request(RequestFlags::empty());
        match arguments.timeout {
            None => locking.await,
            // Dropped, the request is cancelled.
            Some(limit) => timeout(limit, locking)
                .await
                .unwrap_or(Err(LockError::TryFailed)),
        }
    };
    locked.map_err(|error| match error {
        LockError::TryFailed => CommandError::NotAvailable {
            name: arguments.name.to_string_lossy().into_owned(),
        },
        error => CommandError::Lock(error),
    })
}

/// What the command is told of its lock.
fn environment(
    guard: &Guard,
    arguments: &LockArguments,
) -> Vec<(&'static str, std::ffi::OsString)> {
    let mut environment = vec![
        ("GLOCKWORK_LOCKSPACE", arguments.lockspace.clone().into()),
        ("GLOCKWORK_LOCK", arguments.name.clone()),
        ("GLOCKWORK_MODE", guard.mode().name().into()),
        ("GLOCKWORK_TOKEN", guard.token().0.to_string().into()),
    ];
    if let Some(value) = guard.value() {
        let valid = if value.is_valid() { "1" } else { "0" };
        environment.push((VALUE, hex(value.whatever_it_is()).into()));
        environment.push((VALUE_VALID, valid.into()));
    }
    environment
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn exit_code(ending: Ending) -> ExitCode {
    let code = match ending {
        Ending::Exited(status) => status,
        Ending::Killed(signal) => SIGNALLED + signal,
    };
    // A status has eight bits, and signals end at 64.
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sessions_name_is_this_process() {
        let name = session_name();
        assert!(
            name.ends_with(&format!(":{}", std::process::id())),
            "{name}"
        );
        assert!(name.len() <= SESSION_NAME_BYTES_MAX);
    }

    #[test]
    fn a_signal_is_reported_as_shells_do() {
        for (ending, code) in [
            (Ending::Exited(0), 0),
            (Ending::Exited(255), 255),
            (Ending::Killed(9), 137),
        ] {
            assert_eq!(exit_code(ending), ExitCode::from(code));
        }
    }
}
