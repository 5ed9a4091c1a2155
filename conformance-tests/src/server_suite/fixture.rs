//! The servers that cases run against.

use std::time::Duration;

use super::ServerOptions;
use super::case_log::{CaseLog, Observations};
use super::client_tls::ClientTls;
use super::launch::{LaunchError, ServerLauncher};
use super::result::CaseResult;
use super::server::Server;
use super::settings::ServerSettings;
use crate::Verdict;

/// The least time that a shared server has to start. A slow machine must not fail the case that happens
/// to start the server.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Starts servers for cases, and keeps those that several cases share.
pub(super) struct Fixture<'a> {
    launcher: &'a dyn ServerLauncher,
    timeout: Duration,
    tls: Option<ClientTls>,
    log: CaseLog,
    /// Servers that cases share, with their settings.
    servers: Vec<(ServerSettings, Server)>,
    /// Whether the server runs lifespan. Set until a server was seen that does not.
    pub(super) has_lifespan: bool,
}

impl<'a> Fixture<'a> {
    pub(super) fn new(launcher: &'a dyn ServerLauncher, options: &ServerOptions) -> Self {
        Self {
            launcher,
            timeout: options.timeout,
            tls: options.tls.clone(),
            log: CaseLog::default(),
            servers: Vec::new(),
            has_lifespan: true,
        }
    }

    /// Returns how long a case waits for one thing.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Starts the server that cases share, and sends it a request that must reach the probe within
    /// `timeout`.
    ///
    /// # Errors
    ///
    /// One line that says why the server does not serve the probe.
    pub(super) async fn start_shared_server(&mut self, timeout: Duration) -> Result<(), String> {
        let settings = ServerSettings::default();
        let launched = self.launch_server(&settings, timeout);
        let mut server = launched.await.map_err(|error| match error {
            LaunchError::NotSupported(what) => what,
            LaunchError::Failed(error) => error.to_string(),
        })?;
        let served = match server.run_lifespan().await {
            Ok(()) => server.expect_no_call().await,
            Err(verdict) => Err(verdict),
        };
        match served {
            Err(Verdict::Failed(failure)) => {
                let log = server.server_log();
                let last = log.lines().rev().find(|line| !line.trim().is_empty());
                let last = last.map(|line| format!("; the last line of its log: {}", line.trim()));
                Err(failure.seen + &last.unwrap_or_default())
            }
            _ => {
                self.has_lifespan = server.has_lifespan();
                server.set_timeout(self.timeout);
                self.servers.push((settings, server));
                Ok(())
            }
        }
    }

    /// Returns a running server with default settings, which other cases use as well.
    pub(super) async fn server(&mut self) -> CaseResult<&mut Server> {
        self.server_with(ServerSettings::default()).await
    }

    /// Returns a running server with these settings, which other cases use as well.
    pub(super) async fn server_with(
        &mut self,
        settings: ServerSettings,
    ) -> CaseResult<&mut Server> {
        let known = self.servers.iter().position(|(with, _)| *with == settings);
        let index = match known {
            Some(index) => index,
            None => {
                let mut server = self.start(&settings).await?;
                server.set_timeout(self.timeout.max(START_TIMEOUT));
                server.run_lifespan().await?;
                server.set_timeout(self.timeout);
                self.servers.push((settings, server));
                self.servers.len() - 1
            }
        };
        Ok(&mut self.servers[index].1)
    }

    /// Starts a server for one case, which decides how the lifespan of its application behaves: see
    /// [`Server::run_lifespan`].
    pub(super) async fn launch(&mut self, settings: &ServerSettings) -> CaseResult<Server> {
        if self.launcher.probe_address().is_some() {
            return Err(Verdict::NotApplicable(
                "a server that runs already is not started".into(),
            ));
        }
        self.start(settings).await
    }

    async fn start(&mut self, settings: &ServerSettings) -> CaseResult<Server> {
        if self.launcher.probe_address().is_some() && *settings != ServerSettings::default() {
            return Err(Verdict::NotApplicable(
                "a server that runs already cannot be set".into(),
            ));
        }
        let launched = self.launch_server(settings, self.timeout).await;
        launched.map_err(|error| match error {
            LaunchError::NotSupported(what) => Verdict::NotApplicable(what.into()),
            LaunchError::Failed(error) => {
                Verdict::failed(format!("the server cannot be started: {error}"))
            }
        })
    }

    /// Launches a server, with a certificate if clients speak TLS.
    async fn launch_server(
        &self,
        settings: &ServerSettings,
        timeout: Duration,
    ) -> Result<Server, LaunchError> {
        let mut settings = settings.clone();
        if let Some([certfile, keyfile]) = self.tls.as_ref().and_then(ClientTls::server_files) {
            settings.ssl_certfile = Some(certfile);
            settings.ssl_keyfile = Some(keyfile);
        }
        let (log, tls) = (self.log.clone(), self.tls.clone());
        Server::launch(self.launcher, &settings, log, timeout, tls).await
    }

    /// Returns the TLS that clients speak, if they speak TLS.
    pub(super) fn tls(&self) -> Option<&ClientTls> {
        self.tls.as_ref()
    }

    /// Returns a running server that asks clients for a certificate of the suite's authority, and admits
    /// clients without a certificate.
    pub(super) async fn server_with_client_certificates(&mut self) -> CaseResult<&mut Server> {
        let certificates = self.tls.as_ref().and_then(|tls| tls.certificates.as_ref());
        let certificates = certificates.ok_or_else(|| {
            Verdict::NotApplicable("a server that runs already cannot be set".into())
        })?;
        let settings = ServerSettings {
            ssl_ca_certs: Some(certificates.ca_certs()),
            ssl_cert_reqs: Some(1),
            ..ServerSettings::default()
        };
        self.server_with(settings).await
    }

    /// Discards the observations from before a case.
    pub(super) fn begin_case(&mut self) {
        self.log.take();
    }

    /// Returns the observations of a case, and discards calls that the case did not take.
    pub(super) fn end_case(&mut self) -> Observations {
        for (_, server) in &mut self.servers {
            server.discard_calls();
        }
        self.log.take()
    }

    /// Drops the shared servers that can be started anew: after a failed case they may be in any
    /// state.
    pub(super) fn drop_servers(&mut self) {
        self.servers.retain(|(_, server)| server.is_attached());
    }

    /// Shuts down the shared servers.
    pub(super) async fn shut_down(self) {
        for (_, server) in self.servers {
            server.shut_down().await;
        }
    }
}
