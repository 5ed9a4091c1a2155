//! Work that keeps a processor busy, on threads where that may be, while other requests are served.

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

use crate::{Entry, Group, failures, method, number};

/// What the gallery and the command line know of it.
pub const ENTRY: Entry = Entry {
    name: "work",
    group: Group::Data,
    summary: "Sorts 10^n random numbers and computes Fibonacci numbers on threads of their own; a check stays quick meanwhile.",
    try_it: &[
        "curl {http}",
        "curl {http}work/7",
        "curl {http}fib/40",
        "curl {http}check",
    ],
    app: |_| BoxApp::new(failures::answered(Work::default())),
};

/// 10^7 numbers are 40 MB.
const MOST_DIGITS: u64 = 7;
/// 331 million calls: less than a second.
const MOST_FIBONACCI: u64 = 40;

/// Does the work that requests ask for: so much of it at once, and no more.
///
/// A request whose turn has not come waits without a thread. When too many do, the next is answered
/// with 503.
#[derive(Debug)]
pub struct Work {
    /// One for each piece of work that may run.
    turns: Arc<Semaphore>,
    /// One for each request that may run or wait.
    places: Semaphore,
    most_running: usize,
    most_waiting: usize,
}

impl Default for Work {
    /// As much at once as there are processors, save one for everything else; 256 wait.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, Into::into);
        Self::new(processors - 1, 256)
    }
}

impl Work {
    /// So many run at once, at least one, and so many wait.
    #[must_use]
    pub fn new(most_running: usize, most_waiting: usize) -> Self {
        let most_running = most_running.max(1);
        Self {
            turns: Arc::new(Semaphore::new(most_running)),
            places: Semaphore::new(most_running + most_waiting),
            most_running,
            most_waiting,
        }
    }

    /// How many pieces of work have their turn.
    #[must_use]
    pub fn running(&self) -> usize {
        self.most_running - self.turns.available_permits()
    }

    /// How many requests have a place: those whose work runs, and those that wait.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.most_running + self.most_waiting - self.places.available_permits()
    }

    /// Has `job` done, and returns what came out of it.
    ///
    /// When the client goes away, work that waits is never begun. Work that runs cannot be stopped,
    /// as no thread can: it has its turn until it is done, and what comes out of it is dropped.
    async fn run(&self, job: Job, receiver: &mut Receiver) -> Result<Value, AppError> {
        let _place = self.places.try_acquire().map_err(|_| {
            let reason = "too much work waits to be done; come back later";
            HttpError::new(StatusCode::SERVICE_UNAVAILABLE, reason).header("retry-after", "1")
        })?;
        let turn = tokio::select! {
            turn = self.turns.clone().acquire_owned() => turn?,
            () = disconnected(receiver) => return Err(SendError::Disconnected.into()),
        };
        // The thread has the turn, not this call: it may go on for longer.
        let mut running = spawn_blocking(move || {
            let _turn = turn;
            job.run()
        });
        tokio::select! {
            done = &mut running => Ok(done?),
            () = disconnected(receiver) => {
                // Does nothing when it has begun.
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
        let Scope::Http(scope) = scope else {
            return Err(AppError::Unsupported);
        };
        match Route::of(&scope)? {
            Route::Index => answer(&sender, "text/plain; charset=utf-8", INDEX).await,
            Route::Check => answer(&sender, "text/plain; charset=utf-8", "OK\n").await,
            Route::Job(job) => {
                let done = self.run(job, &mut receiver).await?;
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
check     says OK, however much work there is
";

/// What a request asks for.
enum Route {
    Index,
    Check,
    Job(Job),
}

impl Route {
    fn of(scope: &HttpScope) -> Result<Self, HttpError> {
        let path = scope.route_path();
        let segments: Vec<_> = path.split('/').skip(1).collect();
        let work = match segments[..] {
            [""] => Ok(Self::Index),
            ["check"] => Ok(Self::Check),
            ["work", n] if !n.is_empty() => {
                number::parse("n", n, 0..=MOST_DIGITS).map(|n| Self::Job(Job::Sort(n)))
            }
            ["fib", n] if !n.is_empty() => {
                number::parse("n", n, 0..=MOST_FIBONACCI).map(|n| Self::Job(Job::Fibonacci(n)))
            }
            _ => return Err(failures::not_found()),
        };
        if method::is_read(&scope.method) {
            work
        } else {
            Err(failures::method_not_allowed("GET, HEAD"))
        }
    }
}

/// A piece of work.
#[derive(Clone, Copy, Debug)]
enum Job {
    /// So many digits has the number of numbers.
    Sort(u64),
    Fibonacci(u64),
}

impl Job {
    /// Does it, which takes as long as it takes.
    fn run(self) -> Value {
        match self {
            Self::Sort(digits) => {
                let count = 10_usize.pow(digits.try_into().expect("a small number"));
                let mut numbers: Vec<u32> = rand::random_iter().take(count).collect();
                numbers.sort_unstable();
                json!({ "numbers": numbers.len(), "sorted": numbers.is_sorted() })
            }
            Self::Fibonacci(n) => json!({ "n": n, "fibonacci": fibonacci(n) }),
        }
    }
}

/// The slow way, which is the point.
fn fibonacci(n: u64) -> u64 {
    match n {
        0 | 1 => n,
        n => fibonacci(n - 1) + fibonacci(n - 2),
    }
}
