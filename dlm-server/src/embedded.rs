//! A lock server inside another program: the one door through which others use this crate.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

pub use crate::error::ServeError;
pub use crate::runtime::{Cluster, Server};
pub use crate::settings::Settings;

/// Serves until the process gets SIGINT or SIGTERM. `ready` is called once, with the address, as soon as
/// clients can connect: at once where the server is alone, and otherwise when its cluster knows it.
///
/// It makes its own runtime with one thread: the loop is one task anyhow, and a message that does not
/// change threads costs a fifth of one that does.
///
/// # Errors
/// [`ServeError`], each in one line that says what to do.
pub fn run(settings: &Settings, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let result = runtime.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt()).map_err(ServeError::Runtime)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
        let mut server = Server::start_with(settings).await?;
        let mut ready = Some(ready);
        loop {
            let announced = server.announcement();
            tokio::select! {
                _ = interrupted.recv() => info!("interrupted"),
                _ = terminated.recv() => info!("terminated"),
                ended = server.ended() => return ended,
                () = announced, if ready.is_some() => {
                    if let Some(ready) = ready.take() {
                        ready(server.addr());
                    }
                    continue;
                }
            }
            break;
        }
        server.stop().await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::ZERO);
    result
}

/// Serves alone, in memory, as [`run`] does.
///
/// # Errors
/// As [`run`].
pub fn run_alone(listen: SocketAddr, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    run(&Settings::alone(listen), ready)
}
