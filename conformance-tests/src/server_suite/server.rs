//! A server under test, while it runs.

use std::cell::{Cell, OnceCell};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callgate::transcript::Entry;
use callgate::{LifespanShutdownComplete, LifespanStartupComplete, ReceiveEvent};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::case_log::CaseLog;
use super::client_stream::ClientStream;
use super::client_tls::{ClientCertificateKind, ClientTls, Negotiated};
use super::http1::Http1;
use super::http2::{self, Http2};
use super::launch::{LaunchError, RunningServer, ServerExit, ServerLauncher};
use super::probe_call::ProbeCall;
use super::probe_listener::ProbeListener;
use super::request::{FENCE, Request, Response};
use super::result::{CaseResult, within};
use super::settings::ServerSettings;
use crate::Verdict;
use crate::probe::Step;

/// The interval at which the suite tries to connect to a server that starts, and looks at its log.
const RETRY: Duration = Duration::from_millis(5);
/// The number of further exchanges after which a server has noticed the earlier actions of clients.
const SETTLING_EXCHANGES: usize = 5;
/// The receive buffer of a client that is to read nothing, in bytes.
const SMALL_BUFFER: u32 = 16 * 1024;

pub(super) struct Server {
    running: Box<dyn RunningServer>,
    listener: ProbeListener,
    /// Plays the application's lifespan, once [`Server::run_lifespan`] was called.
    lifespan_task: Option<JoinHandle<()>>,
    /// Whether the server called the application for lifespan.
    has_lifespan: Arc<AtomicBool>,
    log: CaseLog,
    timeout: Duration,
    speaks_http2: OnceCell<bool>,
    /// The TLS that clients speak; `None` for cleartext.
    tls: Option<ClientTls>,
    /// The certificate that clients of further connections present.
    client_certificate: ClientCertificateKind,
    /// The result of the last handshake.
    negotiated: Cell<Option<Negotiated>>,
}

/// The names of the versions of HTTP in a handshake (RFC 7301, RFC 9113).
const HTTP1: &[u8] = b"http/1.1";
const HTTP2: &[u8] = b"h2";

/// Returns the verdict about a server that answers a request of HTTP/1.0 itself.
pub(super) fn refusal_of_http10(answer: &Response) -> Verdict {
    match answer.status {
        400.. => Verdict::NotApplicable("the server does not serve HTTP/1.0".into()),
        status => Verdict::failed(format!("the server itself answers with {status}")),
    }
}

impl Server {
    pub(super) async fn launch(
        launcher: &dyn ServerLauncher,
        settings: &ServerSettings,
        log: CaseLog,
        timeout: Duration,
        tls: Option<ClientTls>,
    ) -> Result<Self, LaunchError> {
        let listener = ProbeListener::bind(launcher.probe_address(), log.clone(), timeout).await?;
        let running = launcher.launch(settings, listener.address)?;
        Ok(Self {
            running,
            listener,
            lifespan_task: None,
            has_lifespan: Arc::default(),
            log,
            timeout,
            speaks_http2: OnceCell::new(),
            tls,
            client_certificate: ClientCertificateKind::None,
            negotiated: Cell::new(None),
        })
    }

    /// Waits this long for one thing from here on.
    pub(super) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Returns the log of the case that runs.
    pub(super) fn log(&self) -> &CaseLog {
        &self.log
    }

    /// Returns how long a client waits for one thing.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Has the application go through lifespan as it should, and waits until the server listens.
    /// A case about lifespan uses [`Server::lifespan`] instead.
    pub(super) async fn run_lifespan(&mut self) -> CaseResult {
        self.run_lifespan_with_state(None).await
    }

    /// Does what [`Server::run_lifespan`] does; the application puts this text into its state.
    pub(super) async fn run_lifespan_with_state(
        &mut self,
        text: Option<&'static str>,
    ) -> CaseResult {
        let (_, none) = tokio::sync::mpsc::unbounded_channel();
        let mut lifespans = std::mem::replace(&mut self.listener.lifespans, none);
        let has_lifespan = self.has_lifespan.clone();
        self.lifespan_task = Some(tokio::spawn(async move {
            while let Some(lifespan) = lifespans.recv().await {
                has_lifespan.store(true, Ordering::Relaxed);
                // A failure here shows in the case: the server does not start or does not end.
                if let Ok(lifespan) = lifespan {
                    let _ = play_lifespan(lifespan, text).await;
                }
            }
        }));
        self.wait_until_listening().await
    }

    /// Returns whether the server called the application for its lifespan, after
    /// [`Server::run_lifespan`].
    pub(super) fn has_lifespan(&self) -> bool {
        self.has_lifespan.load(Ordering::Relaxed)
    }

    /// Waits until the server accepts connections.
    pub(super) async fn wait_until_listening(&mut self) -> CaseResult {
        let address = self.address();
        let listening = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            listening = within(self.timeout, "the server to listen", listening) => listening,
            exit = self.running.ended() => {
                Err(Verdict::failed(format!("the server did not start: {exit}")))
            }
        }
    }

    /// Waits for the call for the application's lifespan.
    pub(super) async fn lifespan(&mut self) -> CaseResult<ProbeCall> {
        let lifespan = within(
            self.timeout,
            "a call for lifespan",
            self.listener.lifespans.recv(),
        );
        lifespan.await?.ok_or_else(listener_is_closed)?
    }

    /// Waits for the next call of the application that is not for lifespan.
    pub(super) async fn call(&mut self) -> CaseResult<ProbeCall> {
        let call = within(
            self.timeout,
            "a call of the application",
            self.listener.calls.recv(),
        );
        let mut call = call.await?.ok_or_else(listener_is_closed)??;
        call.set_timeout(self.timeout);
        self.log.push(Entry::Called(call.scope().clone()));
        Ok(call)
    }

    /// Waits for the call for a request of HTTP/1.0 that this client has sent.
    ///
    /// # Errors
    ///
    /// The case is not applicable if the server answers with an error: no standard has it serve HTTP/1.0.
    pub(super) async fn call_of_http10(&mut self, client: &mut Http1) -> CaseResult<ProbeCall> {
        tokio::select! {
            // An answer may be there as soon as the call.
            biased;
            call = self.call() => call,
            answer = client.head() => Err(refusal_of_http10(&answer?)),
        }
    }

    /// Checks that the server has not called the application since the last call that the case took.
    /// To be used once the server has answered: a further exchange shows that no call is on its way.
    pub(super) async fn expect_no_call(&mut self) -> CaseResult {
        self.fence().await
    }

    /// Has the application called once more, over another connection. The server has done by then
    /// what it had to do before. The next call must be that one.
    pub(super) async fn fence(&mut self) -> CaseResult {
        let _client = self.send_fence().await?;
        let mut call = self.call().await?;
        if call.http()?.raw_path() != FENCE {
            return Err(unexpected_call());
        }
        call.ended().await.map(|_| ())
    }

    /// Does what [`Server::fence`] does. Calls before that one are passed over.
    pub(super) async fn pass_over_calls(&mut self) -> CaseResult {
        let _client = self.send_fence().await?;
        loop {
            let mut call = self.call().await?;
            if call.http().is_ok_and(|scope| scope.raw_path() == FENCE) {
                return call.ended().await.map(|_| ());
            }
        }
    }

    /// Sends a request that the application answers at once. Returns the client, to be kept until the call has ended.
    async fn send_fence(&self) -> CaseResult<Http1> {
        let mut client = self.connect().await?;
        client.send(Request::fence().http1()).await?;
        Ok(client)
    }

    /// Checks that no call has come that the case did not take, other than for lifespan.
    pub(super) fn expect_no_unclaimed_call(&mut self) -> CaseResult {
        match self.listener.calls.try_recv() {
            Err(_) => Ok(()),
            Ok(call) => Err(Verdict::failed(format!(
                "the application was called with {:?}",
                call?.scope()
            ))),
        }
    }

    /// Checks that no further call for lifespan has come.
    pub(super) fn expect_no_lifespan_call(&mut self) -> CaseResult {
        match self.listener.lifespans.try_recv() {
            Err(_) => Ok(()),
            Ok(_) => Err(Verdict::failed("the application was called for lifespan")),
        }
    }

    /// Checks that the application is called for a request.
    pub(super) async fn expect_served(&mut self) -> CaseResult {
        let mut client = self.connect().await?;
        client.send(Request::get("/").http1()).await?;
        self.call().await?.finish(Step::Decline).await
    }

    /// Gives the server time to notice the actions of clients: it goes through several whole
    /// exchanges with others meanwhile.
    pub(super) async fn settle(&mut self) -> CaseResult {
        for _ in 0..SETTLING_EXCHANGES {
            self.expect_no_call().await?;
        }
        Ok(())
    }

    /// Waits for the answer to a request that the application must not see.
    pub(super) async fn refused<T>(
        &mut self,
        answer: impl Future<Output = CaseResult<T>>,
    ) -> CaseResult<T> {
        tokio::select! {
            answer = answer => answer,
            Some(_) = self.listener.calls.recv() => Err(unexpected_call()),
        }
    }

    /// Sends octets that the application must not see a request of. Returns the status of the answer.
    pub(super) async fn refused_status(&mut self, octets: impl AsRef<[u8]>) -> CaseResult<u16> {
        let mut client = self.connect().await?;
        client.send(octets).await?;
        let head = self.refused(client.head()).await?;
        self.expect_no_call().await?;
        Ok(head.status)
    }

    /// Opens a connection for HTTP/1 whose client has a small receive buffer.
    pub(super) async fn connect_with_small_buffer(&self) -> CaseResult<Http1> {
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(SMALL_BUFFER)?;
            socket.connect(self.address()).await
        };
        let stream = within(self.timeout, "a connection", connect).await?;
        let stream = stream.map_err(connection_refused)?;
        let stream = self.secure(stream, HTTP1, self.client_certificate).await?;
        Ok(Http1::new(stream, self.log.clone(), self.timeout))
    }

    /// Opens a connection for HTTP/1.
    pub(super) async fn connect(&self) -> CaseResult<Http1> {
        let stream = self.connect_for(HTTP1).await?;
        Ok(Http1::new(stream, self.log.clone(), self.timeout))
    }

    /// Opens a connection for HTTP/2.
    ///
    /// # Errors
    ///
    /// The case is not applicable where the server does not speak HTTP/2.
    pub(super) async fn connect_http2(&self) -> CaseResult<Http2> {
        if !self.speaks_http2().await? {
            let reason = match &self.tls {
                None => "the server does not speak HTTP/2 by prior knowledge",
                Some(_) => "the server does not negotiate HTTP/2",
            };
            return Err(Verdict::NotApplicable(reason.into()));
        }
        let stream = self.connect_for(HTTP2).await?;
        Http2::new(stream, self.log.clone(), self.timeout).await
    }

    async fn speaks_http2(&self) -> CaseResult<bool> {
        if let Some(speaks_http2) = self.speaks_http2.get() {
            return Ok(*speaks_http2);
        }
        // A server without HTTP/2 may refuse a handshake that offers nothing else (RFC 7301, 3.2).
        let stream = self.connect_tcp().await?;
        // A server that demands a certificate would end the connection of a client without one.
        let secured = self.secure(stream, HTTP2, ClientCertificateKind::Valid);
        let speaks_http2 = match secured.await {
            Ok(ClientStream::Tls(stream)) if stream.get_ref().1.alpn_protocol() != Some(HTTP2) => {
                false
            }
            Ok(stream) => http2::is_spoken(stream, self.timeout).await,
            Err(_) if self.tls.is_some() => false,
            Err(verdict) => return Err(verdict),
        };
        Ok(*self.speaks_http2.get_or_init(|| speaks_http2))
    }

    /// Presents this certificate on further connections.
    pub(super) fn present(&mut self, certificate: ClientCertificateKind) {
        self.client_certificate = certificate;
    }

    /// Returns the parameters of the last handshake; `None` over cleartext.
    pub(super) fn negotiated(&self) -> Option<Negotiated> {
        self.negotiated.get()
    }

    /// Opens a connection for a version of HTTP.
    async fn connect_for(&self, protocol: &[u8]) -> CaseResult<ClientStream> {
        let stream = self.connect_tcp().await?;
        self.secure(stream, protocol, self.client_certificate).await
    }

    /// Makes the handshake, if clients speak TLS.
    async fn secure(
        &self,
        stream: TcpStream,
        protocol: &[u8],
        certificate: ClientCertificateKind,
    ) -> CaseResult<ClientStream> {
        let Some(tls) = &self.tls else {
            return Ok(ClientStream::Cleartext(stream));
        };
        let handshake = tls.connect(stream, protocol, certificate);
        let stream = within(self.timeout, "a TLS handshake", handshake).await?;
        let stream = stream
            .map_err(|error| Verdict::failed(format!("the TLS handshake failed: {error}")))?;
        self.negotiated.set(Negotiated::of(&stream));
        Ok(ClientStream::Tls(Box::new(stream)))
    }

    async fn connect_tcp(&self) -> CaseResult<TcpStream> {
        let connected = within(
            self.timeout,
            "a connection",
            TcpStream::connect(self.address()),
        );
        let stream = connected.await?.map_err(connection_refused)?;
        // The server must read the two writes of a case separately, and soon.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// Returns whether the server ran before the suite came, and must not be stopped.
    pub(super) fn is_attached(&self) -> bool {
        self.running.is_attached()
    }

    /// Tells the server to shut down, as SIGTERM does. Exchanges go on.
    pub(super) fn stop(&mut self) -> CaseResult {
        if self.running.is_attached() {
            return Err(Verdict::NotApplicable(
                "a server that runs already is not stopped".into(),
            ));
        }
        self.running.stop();
        Ok(())
    }

    /// Waits until the server has ended.
    pub(super) async fn wait_for_exit(&mut self) -> CaseResult<ServerExit> {
        within(self.timeout, "the server to end", self.running.ended()).await
    }

    /// Returns the server's log so far.
    pub(super) fn server_log(&self) -> String {
        self.running.log()
    }

    /// Waits until the server's log contains `text`.
    pub(super) async fn wait_for_log(&self, text: &str) -> CaseResult {
        let logged = async {
            // Other tasks read the log of a process.
            while !self.server_log().contains(text) {
                tokio::time::sleep(RETRY).await;
            }
        };
        let awaited = format!("`{text}` in its log");
        within(self.timeout, &awaited, logged).await
    }

    /// Discards calls that no case took.
    pub(super) fn discard_calls(&mut self) {
        while self.listener.calls.try_recv().is_ok() {}
    }

    /// Shuts the server down, and ends it if it does not end by itself.
    pub(super) async fn shut_down(mut self) {
        if !self.running.is_attached() {
            self.running.stop();
            let _ = tokio::time::timeout(self.timeout, self.running.ended()).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(task) = &self.lifespan_task {
            task.abort();
        }
    }
}

/// Goes through lifespan as an application should.
async fn play_lifespan(mut lifespan: ProbeCall, text: Option<&str>) -> CaseResult {
    lifespan.wait_without_limit();
    loop {
        match lifespan.receive().await? {
            ReceiveEvent::LifespanStartup => {
                if let Some(text) = text {
                    lifespan.act(Step::PutState(text.into())).await?;
                }
                lifespan.send(LifespanStartupComplete::new()).await?;
            }
            ReceiveEvent::LifespanShutdown => {
                lifespan.send(LifespanShutdownComplete::new()).await?;
                return lifespan.finish(Step::Return).await;
            }
            _ => {}
        }
    }
}

fn unexpected_call() -> Verdict {
    Verdict::failed("the application was called")
}

fn listener_is_closed() -> Verdict {
    Verdict::failed("the suite no longer listens for the probe of this server")
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn connection_refused(error: std::io::Error) -> Verdict {
    Verdict::failed(format!("the server takes no connection: {error}"))
}
