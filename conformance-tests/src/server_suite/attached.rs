//! A server that runs before the suite comes.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use super::launch::{LaunchError, RunningServer, ServerExit, ServerLauncher};
use super::settings::ServerSettings;

/// A server that runs already, and whose probe connects to the suite at a known address.
#[derive(Clone, Debug)]
pub struct AttachedServer {
    address: SocketAddr,
    probe: SocketAddr,
}

impl AttachedServer {
    /// Creates a launcher for the server at `address`, whose probe was given `probe` in
    /// [`PROBE_VARIABLE`](crate::PROBE_VARIABLE).
    #[must_use]
    pub fn new(address: SocketAddr, probe: SocketAddr) -> Self {
        Self { address, probe }
    }
}

impl ServerLauncher for AttachedServer {
    fn name(&self) -> String {
        format!("http://{}", self.address)
    }

    fn probe_address(&self) -> Option<SocketAddr> {
        Some(self.probe)
    }

    fn launch(
        &self,
        _: &ServerSettings,
        _: SocketAddr,
    ) -> Result<Box<dyn RunningServer>, LaunchError> {
        Ok(Box::new(self.clone()))
    }
}

impl RunningServer for AttachedServer {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn stop(&mut self) {}

    fn log(&self) -> String {
        String::new()
    }

    fn ended(&mut self) -> Pin<Box<dyn Future<Output = ServerExit> + '_>> {
        Box::pin(std::future::pending())
    }

    fn is_attached(&self) -> bool {
        true
    }
}
