//! Background jobs: work after one response follows the last send; jobs of the whole process have a worker,
//! which start-up begins and shutdown waits for.

use std::sync::{Arc, Mutex};

use callgate::{App, AppError, Receiver, Scope, Sender};
use callgate_toolkit::lifespan::with_resource;
use callgate_toolkit::{read, respond};
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The jobs that may wait. Requests beyond them are refused, so that memory stays bounded.
const CAPACITY: usize = 100;

/// The queue of jobs, and the worker that takes them.
#[derive(Clone)]
struct Jobs {
    /// `None` is the end.
    queue: mpsc::Sender<Option<String>>,
    worker: Arc<Mutex<Option<JoinHandle<()>>>>,
}

async fn open(outbox: Outbox) -> Result<Jobs, AppError> {
    let (queue, mut jobs) = mpsc::channel::<Option<String>>(CAPACITY);
    let worker = tokio::spawn(async move {
        while let Some(Some(mail)) = jobs.recv().await {
            // A real application sends the mail here, and reports a failure.
            if outbox.send(mail).await.is_err() {
                return;
            }
        }
    });
    let worker = Arc::new(Mutex::new(Some(worker)));
    Ok(Jobs { queue, worker })
}

/// Waits for the jobs that are queued. The server waits for this as long as for the rest of its shutdown.
async fn close(Jobs { queue, worker }: Jobs) -> Result<(), AppError> {
    // No exchange runs any more, so nothing follows the end.
    queue.send(None).await.map_err(AppError::failed)?;
    let worker = worker.lock().unwrap().take();
    match worker {
        Some(worker) => worker.await.map_err(AppError::failed),
        None => Ok(()),
    }
}

async fn order(scope: Scope, mut receiver: Receiver, sender: Sender) -> Result<(), AppError> {
    let scope = scope.into_http()?;
    let address = read::text(&mut receiver, 1024).await?;
    let jobs = scope.state.get::<Jobs>();
    let jobs = jobs.ok_or_else(|| AppError::failed("start-up has not run"))?;
    if jobs.queue.try_send(Some(address.clone())).is_err() {
        let busy = respond::text("Too much to do.\n").status(StatusCode::SERVICE_UNAVAILABLE);
        return busy.header("retry-after", "5").send(&sender).await;
    }
    let accepted = respond::text("You get a mail.\n").status(StatusCode::ACCEPTED);
    accepted.send(&sender).await?;

    // Work after this response: the client has it and does not wait, and a shutdown does.
    println!("a mail to {address} is queued");
    Ok(())
}

/// Where the worker of this recipe puts the mails.
pub type Outbox = mpsc::Sender<String>;

/// The application.
pub fn app(outbox: Outbox) -> impl App {
    with_resource(order, move || open(outbox.clone()), close)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use callgate_toolkit::test_client::TestClient;
    use tokio::time::{Instant, sleep};

    use super::*;

    // The time of this test is virtual: it passes when every task waits.
    #[tokio::test(start_paused = true)]
    async fn a_shutdown_waits_for_the_jobs() {
        let (outbox, mut mails) = mpsc::channel(1);
        let client = TestClient::start(app(outbox)).await.unwrap();
        for address in ["ada@example.com", "alan@example.com"] {
            let response = client.post("/").body(address).send().await.unwrap();
            assert_eq!(response.status(), 202);
        }
        // The outbox has room for one mail, so the worker waits with the other.
        let begun = Instant::now();
        let reader = tokio::spawn(async move {
            sleep(Duration::from_secs(1)).await;
            [mails.recv().await, mails.recv().await]
        });
        client.shutdown().await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 1);
        let mails = reader.await.unwrap().map(Option::unwrap);
        assert_eq!(mails, ["ada@example.com", "alan@example.com"]);
    }
}
