//! The flag of a command line that serves an application inside an inspector.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use callgate::BoxApp;
use callgate_cli::{AppWrapper, Start};
use callgate_server::{Config, LifespanMode, ServeError, Server};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tracing::dispatcher::{self, Dispatch};
use tracing::subscriber::NoSubscriber;

use crate::inspector::Inspector;
use crate::page::{InspectorPage, Token};

/// The variable that has the token.
const TOKEN_VARIABLE: &str = "CALLGATE_INSPECT_TOKEN";

/// The time between two attempts of a successor to listen on the address of the page.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// How long the page may take to end.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

/// The flag `--inspect`: it serves an application inside an [`Inspector`], and the [page](InspectorPage) of the
/// inspector on an address of its own.
///
/// The page has a thread and a server of its own. Its address with the token is in the log. The token is random in each
/// process, unless `CALLGATE_INSPECT_TOKEN` has one. A process that replaces another one gets the address of the page
/// when the other ends.
///
/// A program with `callgate_server::cli::main(app)` has the flag by one more line:
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use callgate_inspector::InspectFlags;
/// use callgate_server::cli::Program;
/// # async fn app(_: callgate::Scope, _: callgate::Receiver, _: callgate::Sender) -> Result<(), callgate::AppError> {
/// #     Err(callgate::AppError::Unsupported)
/// # }
///
/// fn main() -> ExitCode {
///     Program::new(app).flags::<InspectFlags>().main()
/// }
/// ```
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Checks")]
pub struct InspectFlags {
    /// Show every exchange live in the browser, on an address of its own [default address: 127.0.0.1:9900].
    /// The log has the link with the token, which CALLGATE_INSPECT_TOKEN can set
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "127.0.0.1:9900", env = "CALLGATE_INSPECT")]
    inspect: Option<SocketAddr>,

    /// The server of the page.
    #[arg(skip)]
    page: Option<PageServer>,
}

impl InspectFlags {
    /// Returns the address of the page; `None` without an inspector.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.inspect
    }
}

impl AppWrapper for InspectFlags {
    fn wrap(&mut self, app: BoxApp, start: Start) -> Result<BoxApp, String> {
        let Some(address) = self.inspect else {
            return Ok(app);
        };
        let token = token()?;
        let listener = match TcpListener::bind(address) {
            Ok(listener) => Some(listener),
            Err(error) if is_held_by_predecessor(&error, start) => None,
            Err(error) => {
                return Err(format!(
                    "cannot listen on {address} for the inspector: {error}"
                ));
            }
        };
        let bound = listener.as_ref().map(TcpListener::local_addr);
        let address = bound.and_then(Result::ok).unwrap_or(address);
        let when = match listener {
            Some(_) => "",
            None => ", when the process before this one has ended",
        };
        tracing::info!("The inspector is at http://{address}/#token={token}{when}");
        if !address.ip().is_loopback() {
            tracing::warn!(
                "The inspector is reached from other machines, without TLS: who can read the traffic can read the \
                 exchanges"
            );
        }
        let inspector = Inspector::new();
        let page = InspectorPage::new(inspector.clone(), token);
        let server = PageServer::start(page, address, listener);
        self.page = Some(server.map_err(|error| format!("cannot start the inspector: {error}"))?);
        Ok(BoxApp::new(inspector.inspect(app)))
    }

    fn ended(&mut self) {
        if let Some(page) = self.page.take() {
            page.stop();
        }
    }
}

/// Returns the token of the environment, or a random one.
fn token() -> Result<Token, String> {
    match std::env::var(TOKEN_VARIABLE) {
        Ok(text) if !text.is_empty() => Token::new(text).ok_or_else(|| {
            format!("{TOKEN_VARIABLE} needs at least 16 characters: letters, digits, `-`, `.`, `_` and `~`")
        }),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("{TOKEN_VARIABLE} is not Unicode")),
        _ => Ok(Token::random()),
    }
}

fn is_held_by_predecessor(error: &io::Error, start: Start) -> bool {
    start == Start::Successor && error.kind() == io::ErrorKind::AddrInUse
}

/// The server of the page, on a thread of its own.
#[derive(Debug)]
struct PageServer {
    thread: JoinHandle<()>,
    /// The server stops when this is dropped.
    running: oneshot::Sender<()>,
}

impl PageServer {
    /// Serves the page. Without a listener, the address belongs to the process before this one, and is listened on as
    /// soon as that process has ended.
    fn start(
        page: InspectorPage,
        address: SocketAddr,
        listener: Option<TcpListener>,
    ) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (running, stopped) = oneshot::channel::<()>();
        let log = dispatcher::get_default(Dispatch::clone);
        let serve = move || {
            // The log has one server, that of the application. `Dispatch::none()` would not be registered, and so decide for
            // all threads that lines which this thread is the first to reach are not wanted.
            let silence = Dispatch::new(NoSubscriber::default());
            let served = dispatcher::with_default(&silence, || {
                runtime.block_on(serve(page, address, listener, stopped))
            });
            if let Err(error) = served {
                dispatcher::with_default(&log, || {
                    tracing::error!("the inspector has stopped: {error}");
                });
            }
        };
        let thread = thread::Builder::new()
            .name("callgate-inspector".to_owned())
            .spawn(serve)?;
        Ok(Self { thread, running })
    }

    fn stop(self) {
        drop(self.running);
        // A panic has been reported on standard error.
        let _ = self.thread.join();
    }
}

async fn serve(
    page: InspectorPage,
    address: SocketAddr,
    listener: Option<TcpListener>,
    mut stopped: oneshot::Receiver<()>,
) -> Result<(), ServeError> {
    let listener = match listener {
        Some(listener) => listener,
        None => tokio::select! {
            listener = bind_later(address) => listener.map_err(ServeError::Listener)?,
            _ = &mut stopped => return Ok(()),
        },
    };
    let config = Config::new()
        .lifespan(LifespanMode::Off)
        .timeout_graceful_shutdown(Some(SHUTDOWN_LIMIT));
    let server = Server::new(page).config(config).listener(listener)?;
    let stop = async {
        let _ = stopped.await;
    };
    server.serve_until(stop).await
}

/// Listens on an address as soon as another process no longer does.
async fn bind_later(address: SocketAddr) -> io::Result<TcpListener> {
    loop {
        match TcpListener::bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            bound => return bound,
        }
    }
}
