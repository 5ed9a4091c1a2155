//! A server under test, while it runs.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use callgate::{
    HttpResponseBody, HttpResponseStart, LifespanShutdownComplete, LifespanStartupComplete,
    ReceiveEvent, SendEvent,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use super::bench::Log;
use super::case::Outcome;
use super::http1::Http1;
use super::http2::{self, Http2};
use super::launch::{Exit, Launch, NotLaunched, Running, Settings};
use super::remote::{Control, Remote, within};
use super::request::Request;
use crate::Verdict;
use crate::probe::Step;
use callgate::transcript::Entry;

/// How often a port is tried until the server listens there.
const RETRY: Duration = Duration::from_millis(5);
/// Exchanges after which a server has seen what came before them.
const SETTLING: usize = 5;
/// Asked of the system for a client that is to have little room, in bytes.
const NARROW: u32 = 16 * 1024;

pub(super) struct Server {
    running: Box<dyn Running>,
    control: Control,
    /// Lives through the application's lifespan, once [`Server::live`] was called.
    living: Option<JoinHandle<()>>,
    /// Whether it was called for that.
    has_lifespan: Arc<AtomicBool>,
    log: Log,
    patience: Duration,
    speaks_http2: OnceCell<bool>,
}

impl Server {
    pub(super) async fn launch(
        launch: &dyn Launch,
        settings: &Settings,
        log: Log,
        patience: Duration,
    ) -> Result<Self, NotLaunched> {
        let control = Control::listen(launch.probe_address(), log.clone(), patience).await?;
        let running = launch.launch(settings, control.address)?;
        Ok(Self {
            running,
            control,
            living: None,
            has_lifespan: Arc::default(),
            log,
            patience,
            speaks_http2: OnceCell::new(),
        })
    }

    /// From here on waits this long for one thing.
    pub(super) fn be_patient_for(&mut self, patience: Duration) {
        self.patience = patience;
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// The transcript of the case that runs.
    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    /// How long a client waits for one thing.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Has the application go through lifespan as it should, and waits until the server listens.
    /// A case that is about lifespan uses [`Server::lifespan`] instead.
    pub(super) async fn live(&mut self) -> Outcome {
        self.live_with_state(None).await
    }

    /// The same; the application hands over a state with this text.
    pub(super) async fn live_with_state(&mut self, text: Option<&'static str>) -> Outcome {
        let (_, none) = tokio::sync::mpsc::unbounded_channel();
        let mut lifespans = std::mem::replace(&mut self.control.lifespans, none);
        let has_lifespan = self.has_lifespan.clone();
        self.living = Some(tokio::spawn(async move {
            while let Some(lifespan) = lifespans.recv().await {
                has_lifespan.store(true, Ordering::Relaxed);
                // What goes wrong here shows in the case.
                if let Ok(lifespan) = lifespan {
                    let _ = live(lifespan, text).await;
                }
            }
        }));
        self.listens().await
    }

    /// Whether a server that [`live`](Self::live)s has called the application for its lifespan.
    pub(super) fn has_lifespan(&self) -> bool {
        self.has_lifespan.load(Ordering::Relaxed)
    }

    /// Waits until the server listens.
    pub(super) async fn listens(&mut self) -> Outcome {
        let address = self.address();
        let listens = async {
            while TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            listens = within(self.patience, "the server to listen", listens) => listens,
            exit = self.running.ended() => Err(Verdict::failed(format!("it did not start: {exit}"))),
        }
    }

    /// The call for the application's lifespan.
    pub(super) async fn lifespan(&mut self) -> Outcome<Remote> {
        let lifespan = within(
            self.patience,
            "a call for lifespan",
            self.control.lifespans.recv(),
        );
        lifespan.await?.ok_or_else(gone)?
    }

    /// The next call of the application that is not for lifespan.
    pub(super) async fn call(&mut self) -> Outcome<Remote> {
        let call = within(
            self.patience,
            "a call of the application",
            self.control.calls.recv(),
        );
        let mut call = call.await?.ok_or_else(gone)??;
        call.be_patient_for(self.patience);
        self.log.push(Entry::Called(call.scope.clone()));
        Ok(call)
    }

    /// That the application has not been called since the last call that a case took. To be asked
    /// once the server has answered; another exchange makes sure that nothing is on its way.
    pub(super) async fn was_not_called(&mut self) -> Outcome {
        self.fence().await
    }

    /// Has the application called once more, on a connection of its own: what the server had to do
    /// before has been done by then. The next call must be that one.
    pub(super) async fn fence(&mut self) -> Outcome {
        let mut client = self.connect().await?;
        let fence = Request::get("/callgate-fence")
            .sends(HttpResponseStart::ok())
            .sends(HttpResponseBody::end())
            .step(Step::Return);
        client.send(fence.http1()).await?;
        let mut call = self.call().await?;
        if call.http()?.raw_path() != "/callgate-fence" {
            return Err(called());
        }
        call.ended().await.map(|_| ())
    }

    /// That no call has been told of that no case took, other than for lifespan.
    pub(super) fn has_no_call(&mut self) -> Outcome {
        match self.control.calls.try_recv() {
            Err(_) => Ok(()),
            Ok(call) => Err(Verdict::failed(format!(
                "the application was called with {:?}",
                call?.scope
            ))),
        }
    }

    /// That no further call for lifespan has been told of.
    pub(super) fn has_no_lifespan(&mut self) -> Outcome {
        match self.control.lifespans.try_recv() {
            Err(_) => Ok(()),
            Ok(_) => Err(Verdict::failed("the application was called for lifespan")),
        }
    }

    /// That it serves: that the application is called for a request.
    pub(super) async fn serves(&mut self) -> Outcome {
        let mut client = self.connect().await?;
        client.send(Request::get("/").http1()).await?;
        self.call().await?.finish(Step::Decline).await
    }

    /// Gives the server the time to see what clients have done: it goes through whole exchanges
    /// with others meanwhile. Takes the calls for them.
    pub(super) async fn settle(&mut self) -> Outcome {
        for _ in 0..SETTLING {
            self.was_not_called().await?;
        }
        Ok(())
    }

    /// Sends a request that the application must not see; the status of the answer.
    pub(super) async fn refuses(&mut self, request: impl AsRef<[u8]>) -> Outcome<u16> {
        let mut client = self.connect().await?;
        client.send(request).await?;
        let status = tokio::select! {
            answer = client.head() => answer?.status,
            Some(_) = self.control.calls.recv() => return Err(called()),
        };
        self.was_not_called().await?;
        Ok(status)
    }

    /// The same over HTTP/2.
    pub(super) async fn refuses_over_http2(&mut self, request: &Request) -> Outcome<u16> {
        let mut client = self.connect_http2().await?;
        let exchange = client.begin(request, false).await?;
        let status = tokio::select! {
            answer = exchange.head() => answer?.head.status,
            Some(_) = self.control.calls.recv() => return Err(called()),
        };
        self.was_not_called().await?;
        Ok(status)
    }

    /// A new connection for HTTP/1 whose client has little room for what it has not read.
    pub(super) async fn connect_narrow(&self) -> Outcome<Http1> {
        let connect = async {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(NARROW)?;
            socket.connect(self.address()).await
        };
        let stream = within(self.patience, "a connection", connect).await?;
        let stream =
            stream.map_err(|error| Verdict::failed(format!("it takes no connection: {error}")))?;
        Ok(Http1::new(stream, self.log.clone(), self.patience))
    }

    /// A new connection, for HTTP/1.
    pub(super) async fn connect(&self) -> Outcome<Http1> {
        let stream = self.connect_bare().await?;
        Ok(Http1::new(stream, self.log.clone(), self.patience))
    }

    /// A new connection, for HTTP/2; not applicable where the server does not speak that.
    pub(super) async fn connect_http2(&self) -> Outcome<Http2> {
        if !self.speaks_http2().await? {
            return Err(Verdict::NotApplicable(
                "the server does not speak HTTP/2 by prior knowledge".into(),
            ));
        }
        let stream = self.connect_bare().await?;
        Http2::new(stream, self.log.clone(), self.patience).await
    }

    /// Asked once.
    async fn speaks_http2(&self) -> Outcome<bool> {
        if let Some(speaks_http2) = self.speaks_http2.get() {
            return Ok(*speaks_http2);
        }
        let stream = self.connect_bare().await?;
        let speaks_http2 = http2::is_spoken(stream, self.patience).await;
        Ok(*self.speaks_http2.get_or_init(|| speaks_http2))
    }

    async fn connect_bare(&self) -> Outcome<TcpStream> {
        let connected = within(
            self.patience,
            "a connection",
            TcpStream::connect(self.address()),
        );
        let stream = connected
            .await?
            .map_err(|error| Verdict::failed(format!("it takes no connection: {error}")))?;
        // What a case writes in two goes is to be read in two goes, and soon.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// Whether it runs already, and is not to be stopped.
    pub(super) fn is_foreign(&self) -> bool {
        self.running.is_foreign()
    }

    /// Tells it to shut down, as SIGTERM does. What runs goes on.
    pub(super) fn stop(&mut self) -> Outcome {
        if self.running.is_foreign() {
            return Err(Verdict::NotApplicable(
                "a server that runs already is not stopped".into(),
            ));
        }
        self.running.stop();
        Ok(())
    }

    /// Waits until it has ended.
    pub(super) async fn exit(&mut self) -> Outcome<Exit> {
        within(self.patience, "the server to end", self.running.ended()).await
    }

    /// What it has written to its log so far.
    pub(super) fn server_log(&self) -> String {
        self.running.log()
    }

    /// Waits until this stands in its log.
    pub(super) async fn reports(&self, what: &str) -> Outcome {
        let reported = async {
            // Of a process, the log is read on the side.
            while !self.server_log().contains(what) {
                tokio::time::sleep(RETRY).await;
            }
        };
        let awaited = format!("`{what}` in its log");
        within(self.patience, &awaited, reported).await
    }

    /// Lets go of calls that no case has asked for.
    pub(super) fn forget_calls(&mut self) {
        while self.control.calls.try_recv().is_ok() {}
    }

    /// Ends it, whether or not it wants to.
    pub(super) async fn end(mut self) {
        if !self.running.is_foreign() {
            self.running.stop();
            let _ = tokio::time::timeout(self.patience, self.running.ended()).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(living) = &self.living {
            living.abort();
        }
    }
}

/// Goes through lifespan as an application should.
async fn live(mut lifespan: Remote, text: Option<&str>) -> Outcome {
    lifespan.be_patient();
    loop {
        match lifespan.receive().await? {
            ReceiveEvent::LifespanStartup => {
                if let Some(text) = text {
                    lifespan.act(Step::PutState(text.into())).await?;
                }
                lifespan.send(LifespanStartupComplete::new()).await?;
            }
            ReceiveEvent::LifespanShutdown => {
                lifespan
                    .send(SendEvent::LifespanShutdownComplete(
                        LifespanShutdownComplete::new(),
                    ))
                    .await?;
                return lifespan.finish(Step::Return).await;
            }
            _ => {}
        }
    }
}

fn called() -> Verdict {
    Verdict::failed("the application was called")
}

fn gone() -> Verdict {
    Verdict::failed("the server is gone")
}
