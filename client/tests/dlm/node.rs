//! A node with glocks and one task, in the test's own process.

use std::sync::Arc;

use dlm_client::glocks::{GlockConfig, GlockError, Glocks, Holder, HolderRequest, Objects};
use dlm_client::{Client, GlockName, HolderFlags, Role, State};

use crate::stage::join;

struct Nothing;

impl Objects for Nothing {
    fn sync(&self, _: GlockName) {}
    fn invalidate(&self, _: GlockName, _: State) {}
}

/// A node with one task.
pub(crate) struct Node {
    pub(crate) glocks: Glocks,
    task: dlm_client::Owner,
    client: Client,
}

impl Node {
    pub(crate) async fn join(endpoint: &str, name: &str) -> Self {
        let client = join(endpoint, name).await;
        let lockspace = client.lockspace("volume").await.unwrap();
        let glocks = Glocks::new(&lockspace, Arc::new(Nothing), GlockConfig::default());
        Self {
            task: glocks.task("dio 0"),
            glocks,
            client,
        }
    }

    /// Releases everything and ends the session.
    pub(crate) async fn leave(self) {
        let glocks = self.glocks.clone();
        let released = tokio::task::spawn_blocking(move || glocks.release_all());
        released.await.expect("it does not panic");
        drop(self.glocks);
        self.client.close().await;
    }

    pub(crate) async fn lock(
        &self,
        inode: u64,
        state: State,
        role: Role,
    ) -> Result<Holder, GlockError> {
        let request = HolderRequest {
            name: GlockName::inode(inode),
            state,
            flags: HolderFlags::empty(),
            owner: self.task,
            role,
        };
        self.glocks.lock_async(request).await
    }
}
