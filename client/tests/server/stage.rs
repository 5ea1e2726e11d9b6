//! A server, and nodes that write down what their hooks are called for.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dlm_client::glocks::{GlockConfig, GlockError, Glocks, Holder, HolderRequest, Objects};
use dlm_client::{
    Client, ConnectOptions, GlockName, HolderFlags, Lockspace, Owner, Role, Servers, State,
};
use dlm_server::embedded::Server;

pub(crate) const FILE: GlockName = GlockName::inode(0x102ab);
pub(crate) const PLAIN: HolderFlags = HolderFlags::empty();

pub(crate) async fn server() -> Server {
    Server::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await
        .unwrap()
}

pub(crate) fn servers(server: &Server) -> Servers {
    Servers::parse(&server.addr().to_string()).unwrap()
}

pub(crate) async fn client(server: &Server, name: &str) -> Client {
    Client::connect(ConnectOptions {
        servers: servers(server),
        name: name.into(),
    })
    .await
    .unwrap()
}

pub(crate) async fn lockspace(server: &Server, name: &str) -> Lockspace {
    client(server, name)
        .await
        .lockspace("volume")
        .await
        .unwrap()
}

/// A node: glocks over a session of its own.
pub(crate) struct Node {
    pub(crate) client: Client,
    pub(crate) glocks: Glocks,
    pub(crate) hooks: Arc<Hooks>,
}

impl Node {
    pub(crate) async fn start(server: &Server, name: &str) -> Self {
        Self::with(server, name, GlockConfig::default(), Hooks::default()).await
    }

    pub(crate) async fn with(
        server: &Server,
        name: &str,
        config: GlockConfig,
        hooks: Hooks,
    ) -> Self {
        let lockspace = lockspace(server, name).await;
        let hooks = Arc::new(hooks);
        let glocks = Glocks::new(&lockspace, Arc::<Hooks>::clone(&hooks), config);
        Self {
            client: lockspace.client().clone(),
            glocks,
            hooks,
        }
    }

    pub(crate) async fn lock(&self, state: State) -> Result<Holder, GlockError> {
        self.lock_with(state, PLAIN).await
    }

    pub(crate) async fn lock_with(
        &self,
        state: State,
        flags: HolderFlags,
    ) -> Result<Holder, GlockError> {
        self.glocks.lock_async(request(state, flags)).await
    }

    /// Waits until the glock's line of the dump has this in it.
    pub(crate) async fn shows(&self, text: &str) {
        within(async {
            while !self.glocks.dump().contains(text) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
    }
}

pub(crate) const fn request(state: State, flags: HolderFlags) -> HolderRequest {
    HolderRequest {
        name: FILE,
        state,
        flags,
        owner: Owner(0),
        role: Role::Operation,
    }
}

/// What a test waits for happens within seconds or never.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what)
        .await
        .expect("it never happens")
}

/// Hooks that are written down.
#[derive(Default)]
pub(crate) struct Hooks {
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) instantiate_fails: bool,
    pub(crate) sync_panics: bool,
}

impl Hooks {
    /// What was called since the last look.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn call(&self, what: String) {
        self.calls.lock().unwrap().push(what);
    }
}

impl Objects for Hooks {
    fn sync(&self, _: GlockName) {
        assert!(!self.sync_panics, "as the test wants it");
        self.call("sync".into());
    }

    fn invalidate(&self, _: GlockName, to: State) {
        self.call(format!("invalidate {to}"));
    }

    fn instantiate(&self, _: GlockName) -> Result<(), String> {
        self.call("instantiate".into());
        if self.instantiate_fails {
            Err("bad block".into())
        } else {
            Ok(())
        }
    }

    fn dump(&self, name: GlockName) -> Option<String> {
        Some(format!(
            "I: n:1/{} t:8 f:0x00 d:0x00000000 s:0 p:0",
            name.number
        ))
    }
}
