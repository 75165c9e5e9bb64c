//! Names become addresses here, and only addresses that the guard admits get any further.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::OutboundGuard;

/// Looks up names. The machine's own resolver, or what a test puts in its place.
#[async_trait]
pub trait NameResolver: Send + Sync {
    /// Every address of `host`.
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of this machine.
pub(super) struct SystemResolver;

#[async_trait]
impl NameResolver for SystemResolver {
    async fn lookup(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Why a name leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum Blocked {
    #[error(
        "{0} resolves to private addresses only; calling them must be allowed by whoever operates paceline \
         (--allow-host {0}, or --allow-private)"
    )]
    Private(String),
    #[error("the host {0} is not known; check its name")]
    Unknown(String),
}

/// Resolves names and keeps the addresses that the guard admits.
pub(super) struct GuardedResolver {
    pub(super) guard: OutboundGuard,
    /// The port of every call made through it; `None` for any port that no rule of the guard names.
    pub(super) port: Option<u16>,
    pub(super) names: Arc<dyn NameResolver>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, names, port) = (self.guard.clone(), Arc::clone(&self.names), self.port);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = names.lookup(&host).await.map_err(|_| Blocked::Unknown(host.clone()))?;
            let admitted: Vec<SocketAddr> = found
                .iter()
                .filter(|address| guard.admits(&host, **address, port))
                .map(|address| SocketAddr::new(*address, 0))
                .collect();
            match (found.is_empty(), admitted.is_empty()) {
                (true, _) => Err(Blocked::Unknown(host).into()),
                (false, true) => Err(Blocked::Private(host).into()),
                (false, false) => Ok(Box::new(admitted.into_iter()) as Addrs),
            }
        })
    }
}
