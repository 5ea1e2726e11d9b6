//! What a contender does: a client as a process of its own, which takes locks, writes down that it has them,
//! and gives them back, until it is told to end (SIGTERM). `failover contend` runs it.
//!
//! It says a line for everything that happens to its session, see [`Said`](super::Said). When its session is
//! lost it joins again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dlm_client::{Client, ConnectOptions, Guard, LockError, Lockspace, Mode, Servers};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{PulseFile, Witness};

/// The lockspace of all contenders.
pub const LOCKSPACE: &str = "contended";

/// How many locks that are only kept are asked for at once.
const KEPT_AT_ONCE: usize = 512;

/// How long a contender pauses when the cluster did not let it in, or refused a lock.
const PAUSE: Duration = Duration::from_millis(50);

/// What it is started with.
#[derive(Args, Clone, Debug)]
pub struct ContendOptions {
    /// The servers.
    #[arg(long)]
    pub endpoints: String,
    /// What it is called.
    #[arg(long)]
    pub name: String,
    /// The file to which holders write what they do.
    #[arg(long)]
    pub witness: Option<PathBuf>,
    /// The file of the times of its grants.
    #[arg(long)]
    pub pulse: Option<PathBuf>,
    /// The locks that it takes again and again.
    #[arg(long, value_delimiter = ',')]
    pub locks: Vec<String>,
    /// How long it holds each time, in milliseconds.
    #[arg(long, default_value_t = 5)]
    pub hold_ms: u64,
    /// How many tasks take each of the locks.
    #[arg(long, default_value_t = 1)]
    pub tasks: usize,
    /// How many locks of its own it takes at first, in EX, and keeps.
    #[arg(long, default_value_t = 0)]
    pub keep: usize,
}

/// The name of the lock that a contender keeps under a number.
#[must_use]
pub fn kept_name(contender: &str, number: usize) -> String {
    format!("kept-{contender}-{number}")
}

/// Contends until SIGTERM.
///
/// # Errors
/// What the system says, and what should not happen: an end of the session that nobody can explain.
pub async fn contend(options: ContendOptions) -> Result<(), String> {
    let mut term = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        term.recv().await;
        stop.send_replace(true);
    });
    let options = Arc::new(options);
    while !*stopped.borrow() {
        let servers = Servers::parse(&options.endpoints).map_err(|error| error.to_string())?;
        let name = options.name.clone();
        let mut stops = stopped.clone();
        let connecting = Client::connect(ConnectOptions { servers, name });
        let connected = tokio::select! {
            connected = connecting => connected,
            _ = stops.wait_for(|stop| *stop) => break,
        };
        match connected {
            Ok(client) => {
                println!("joined {}", client.id().0);
                live(&options, client, stopped.clone()).await?;
            }
            Err(error) => {
                println!("outside {error}");
                sleep(PAUSE).await;
            }
        }
    }
    Ok(())
}

/// One session, from its beginning to its end.
async fn live(
    options: &Arc<ContendOptions>,
    client: Client,
    stopped: watch::Receiver<bool>,
) -> Result<(), String> {
    let contending = async {
        let lockspace = client.lockspace(LOCKSPACE).await?;
        let kept = keep(options, &lockspace).await?;
        println!("keeps {}", kept.len());
        let mut tasks = JoinSet::new();
        for lock in &options.locks {
            for _ in 0..options.tasks {
                let contender = Contender {
                    options: Arc::clone(options),
                    lockspace: lockspace.clone(),
                    lock: lock.clone(),
                    stopped: stopped.clone(),
                };
                tasks.spawn(contender.run());
            }
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|_| LockError::Gone)??;
        }
        // Who has nothing to contend for waits for the end of the session.
        while !*stopped.borrow() && !kept.iter().any(Guard::is_lost) {
            sleep(PAUSE).await;
        }
        let lost = kept.iter().filter(|guard| guard.is_lost()).count();
        println!("kept {} lost {lost}", kept.len() - lost);
        Ok(())
    };
    let ended: Result<(), LockError> = tokio::select! {
        ended = contending => ended,
        // A wait for a lock that a stopped client holds is not worth waiting for.
        () = ends(stopped.clone()) => Ok(()),
    };
    match ended {
        Ok(()) if *stopped.borrow() => {
            client.close().await;
            println!("closed");
        }
        Ok(()) => println!("lost the session"),
        Err(LockError::SessionLost(why)) => println!("lost {why}"),
        Err(error) => {
            println!("broken {error}");
            return Err(error.to_string());
        }
    }
    Ok(())
}

/// A while after the contender was told to end.
async fn ends(mut stopped: watch::Receiver<bool>) {
    // Where the sender is gone nobody says it any more.
    let _ = stopped.wait_for(|stop| *stop).await;
    sleep(Duration::from_secs(2)).await;
}

/// Takes the locks that are kept.
async fn keep(options: &ContendOptions, lockspace: &Lockspace) -> Result<Vec<Guard>, LockError> {
    let mut kept = Vec::with_capacity(options.keep);
    let mut asked = JoinSet::new();
    for number in 0..options.keep {
        if asked.len() >= KEPT_AT_ONCE
            && let Some(guard) = asked.join_next().await
        {
            kept.push(guard.map_err(|_| LockError::Gone)??);
        }
        let (lockspace, name) = (lockspace.clone(), kept_name(&options.name, number));
        asked.spawn(async move { lockspace.lock(name, Mode::Ex).await });
    }
    while let Some(guard) = asked.join_next().await {
        kept.push(guard.map_err(|_| LockError::Gone)??);
    }
    Ok(kept)
}

/// A task that takes one lock again and again.
struct Contender {
    options: Arc<ContendOptions>,
    lockspace: Lockspace,
    lock: String,
    stopped: watch::Receiver<bool>,
}

impl Contender {
    async fn run(mut self) -> Result<(), LockError> {
        let witness = self.options.witness.as_ref().map(Witness::new);
        let pulse = self.options.pulse.as_deref().map(PulseFile::open);
        let mut pulse = pulse.transpose().expect("a file for grants' times");
        for round in 0_u64.. {
            // Readers come in pairs now and then.
            let mode = if round % 4 == 3 { Mode::Pr } else { Mode::Ex };
            let asking = self.lockspace.lock(&self.lock, mode);
            let guard = tokio::select! {
                guard = asking => guard?,
                _ = self.stopped.wait_for(|stop| *stop) => return Ok(()),
            };
            if let Some(pulse) = &mut pulse {
                pulse.granted(&self.lock).expect("a grant's time");
            }
            match &witness {
                None => {}
                Some(witness) => self.hold(witness, &guard).await,
            }
            let lost = guard.is_lost();
            if !lost {
                guard.unlock().await?;
            }
            if *self.stopped.borrow() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Writes down what is done under the lock, as long as it is held.
    async fn hold(&self, witness: &Witness, guard: &Guard) {
        let (me, lock) = (&self.options.name, &self.lock);
        let (token, mode) = (guard.token(), guard.mode());
        let deed = |act: &dyn Fn() -> std::io::Result<()>| {
            let done = witness.moment(|| (!guard.is_lost()).then(act).transpose());
            done.and_then(|done| done)
                .expect("a line for the witness")
                .is_some()
        };
        if !deed(&|| witness.grant(token, me, lock, mode)) {
            return;
        }
        sleep(Duration::from_millis(self.options.hold_ms)).await;
        if !deed(&|| {
            witness.write(token, me, lock)?;
            witness.release(token, me, lock)
        }) {
            let told = witness.moment(|| witness.lost(token, me, lock));
            told.and_then(|told| told).expect("a line for the witness");
        }
    }
}
