//! Asks and listens for the model: one task watches, another one asks every second.

use std::time::Duration;

use dlm_client::Servers;
use dlm_client::inspect::{self, InspectError, WatchFilter};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::model::{Feed, Looked};

/// How long after an answer is asked again, and after a failure tried again.
const EVERY: Duration = Duration::from_secs(1);

/// What waits to be shown; who is slow to show it hears less often, and is told what was missed.
const QUEUED_MAX: usize = 16;

/// What the two tasks say. They end with it.
pub(super) struct Feeds {
    feeds: mpsc::Receiver<Feed>,
    tasks: JoinSet<()>,
}

impl Feeds {
    pub(super) fn begin(servers: &Servers) -> Self {
        let (to, feeds) = mpsc::channel(QUEUED_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(servers.clone(), to.clone()));
        tasks.spawn(ask(servers.clone(), to));
        Self { feeds, tasks }
    }

    /// What comes next.
    pub(super) async fn next(&mut self) -> Feed {
        tokio::select! {
            Some(feed) = self.feeds.recv() => feed,
            // They end by themselves only where they are broken.
            Some(ended) = self.tasks.join_next() => match ended {
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                _ => std::future::pending().await,
            },
            else => std::future::pending().await,
        }
    }

    /// What has come already.
    pub(super) fn come(&mut self) -> Option<Feed> {
        self.feeds.try_recv().ok()
    }
}

async fn listen(servers: Servers, to: mpsc::Sender<Feed>) {
    loop {
        let failed = match inspect::watch(&servers, &WatchFilter::default()).await {
            Ok(mut watch) => loop {
                let feed = match watch.next().await {
                    Ok(news) => Feed::News(news),
                    // Asked again, it tries again.
                    Err(error) => Feed::NotHeard(error.to_string()),
                };
                if to.send(feed).await.is_err() {
                    return;
                }
            },
            Err(error) => error.to_string(),
        };
        if to.send(Feed::NotHeard(failed)).await.is_err() {
            return;
        }
        sleep(EVERY).await;
    }
}

async fn ask(servers: Servers, to: mpsc::Sender<Feed>) {
    loop {
        let feed = match look(&servers).await {
            Ok(looked) => Feed::Looked(Box::new(looked)),
            Err(error) => Feed::NotLooked(error.to_string()),
        };
        if to.send(feed).await.is_err() {
            return;
        }
        sleep(EVERY).await;
    }
}

async fn look(servers: &Servers) -> Result<Looked, InspectError> {
    let cluster = async {
        match inspect::cluster(servers).await {
            // A server of an earlier version, which is alone.
            Err(InspectError::Unknown { .. }) => Ok(None),
            cluster => cluster.map(Some),
        }
    };
    let caches = async {
        match inspect::caches(servers).await {
            // One that does not ask nodes for their counts.
            Err(InspectError::Unknown { .. }) => Ok(inspect::Caches::default()),
            caches => caches,
        }
    };
    let (graph, status) = (inspect::graph(servers), inspect::status(servers));
    let (graph, caches, status, cluster) = tokio::try_join!(graph, caches, status, cluster)?;
    Ok(Looked {
        graph,
        caches,
        status,
        cluster,
    })
}
