//! Computations that keep a processor busy, on threads for blocking work, while other requests are
//! served.

use std::sync::Arc;

use callgate::{
    App, AppError, BoxApp, HttpResponseBody, HttpResponseStart, HttpScope, Receiver, Scope,
    SendError, Sender,
};
use callgate_toolkit::errors::HttpError;
use callgate_toolkit::read::disconnected;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::{Entry, Group, http_errors, method, number};

/// The entry of `work` in the list of applications.
pub const ENTRY: Entry = Entry {
    name: "work",
    group: Group::Data,
    summary: "Sorts 10^n random numbers and computes Fibonacci numbers on threads of their own; a check is answered at once meanwhile.",
    try_it: &[
        "curl {http}",
        "curl {http}work/6",
        "curl {http}fib/40",
        "curl {http}check",
    ],
    service: None,
    source: include_str!("work.rs"),
    app: |_| BoxApp::new(http_errors::handle(Work::default())),
};

/// The largest exponent of a sort: 10^7 numbers are 40 MB.
const MAX_EXPONENT: u64 = 7;
/// The largest index of a Fibonacci number: 331 million calls, less than a second.
const MAX_FIBONACCI: u64 = 40;

/// Runs a limited number of computations at a time.
///
/// Further requests wait, without a thread. When too many wait, the next request is answered with 503.
#[derive(Debug)]
pub struct Work {
    /// A permit for each computation that may run.
    running_permits: Arc<Semaphore>,
    /// A permit for each request that may run or wait.
    admission_permits: Semaphore,
    max_running: usize,
    max_waiting: usize,
}

impl Default for Work {
    /// Runs as many computations as there are processors, save one for all else; 256 requests wait.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        Self::new(processors - 1, 256)
    }
}

impl Work {
    /// Creates the application. At most `max_running` computations run, at least one, and at most
    /// `max_waiting` requests wait.
    #[must_use]
    pub fn new(max_running: usize, max_waiting: usize) -> Self {
        let max_running = max_running.max(1);
        Self {
            running_permits: Arc::new(Semaphore::new(max_running)),
            admission_permits: Semaphore::new(max_running + max_waiting),
            max_running,
            max_waiting,
        }
    }

    /// Returns how many computations run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.max_running - self.running_permits.available_permits()
    }

    /// Returns how many requests run or wait.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.max_running + self.max_waiting - self.admission_permits.available_permits()
    }

    /// Runs a computation and returns its result.
    ///
    /// When the client disconnects, a computation that waits is not begun. A computation that runs cannot
    /// be stopped, because no thread can be: it keeps its permit until it is done, and its result is
    /// dropped.
    async fn run(
        &self,
        computation: Computation,
        receiver: &mut Receiver,
    ) -> Result<Value, AppError> {
        let _admission = self.admission_permits.try_acquire().map_err(|_| {
            let reason = "too many computations wait; try again later";
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, reason).header("retry-after", "1")
        })?;
        let permit = tokio::select! {
            permit = self.running_permits.clone().acquire_owned() => permit?,
            () = disconnected(receiver) => return Err(SendError::Disconnected.into()),
        };
        // The thread holds the permit, because it may go on for longer than this call.
        let mut running = spawn_blocking(move || {
            let _permit = permit;
            computation.run()
        });
        tokio::select! {
            done = &mut running => Ok(done?),
            () = disconnected(receiver) => {
                // This has no effect on a computation that has begun.
                running.abort();
                Err(SendError::Disconnected.into())
            }
        }
    }
}

impl App for Work {
    async fn call(
        &self,
        scope: Scope,
        mut receiver: Receiver,
        sender: Sender,
    ) -> Result<(), AppError> {
        let scope = scope.into_http()?;
        match Route::parse(&scope)? {
            Route::Index => answer(&sender, "text/plain; charset=utf-8", INDEX).await,
            Route::Check => answer(&sender, "text/plain; charset=utf-8", "OK\n").await,
            Route::Compute(computation) => {
                let done = self.run(computation, &mut receiver).await?;
                answer(&sender, "application/json", format!("{done}\n")).await
            }
        }
    }
}

async fn answer(
    sender: &Sender,
    content_type: &'static str,
    content: impl Into<String>,
) -> Result<(), AppError> {
    let start = HttpResponseStart::ok()
        .header(CONTENT_TYPE, content_type)
        .header(CACHE_CONTROL, "no-store");
    sender.send(start).await?;
    sender.send(HttpResponseBody::last(content.into())).await?;
    Ok(())
}

const INDEX: &str = "\
work/{n}  sorts 10^n random numbers, n from 0 to 7
fib/{n}   computes a Fibonacci number, n from 0 to 40
check     answers OK, however many computations wait
";

/// The path of a request, parsed.
enum Route {
    Index,
    Check,
    Compute(Computation),
}

impl Route {
    fn parse(scope: &HttpScope) -> Result<Self, HttpError> {
        let path = scope.route_path();
        let segments: Vec<_> = path.split('/').skip(1).collect();
        let route = match segments[..] {
            [""] => Ok(Self::Index),
            ["check"] => Ok(Self::Check),
            ["work", n] if !n.is_empty() => {
                number::parse("n", n, 0..=MAX_EXPONENT).map(|n| Self::Compute(Computation::Sort(n)))
            }
            ["fib", n] if !n.is_empty() => number::parse("n", n, 0..=MAX_FIBONACCI)
                .map(|n| Self::Compute(Computation::Fibonacci(n))),
            _ => return Err(http_errors::not_found()),
        };
        if method::is_get_or_head(&scope.method) {
            route
        } else {
            Err(http_errors::method_not_allowed("GET, HEAD"))
        }
    }
}

/// A computation.
#[derive(Clone, Copy, Debug)]
enum Computation {
    /// Sorts 10^n random numbers.
    Sort(u64),
    /// Computes the nth Fibonacci number.
    Fibonacci(u64),
}

impl Computation {
    /// Runs the computation, on a thread that may block.
    fn run(self) -> Value {
        match self {
            Self::Sort(exponent) => {
                let count = 10_usize.pow(exponent.try_into().expect("at most 7"));
                let mut numbers: Vec<u32> = rand::random_iter().take(count).collect();
                numbers.sort_unstable();
                json!({ "numbers": numbers.len(), "sorted": numbers.is_sorted() })
            }
            Self::Fibonacci(n) => json!({ "n": n, "fibonacci": fibonacci(n) }),
        }
    }
}

/// Computes the nth Fibonacci number by recursion, which keeps the processor busy.
fn fibonacci(n: u64) -> u64 {
    match n {
        0 | 1 => n,
        n => fibonacci(n - 1) + fibonacci(n - 2),
    }
}
