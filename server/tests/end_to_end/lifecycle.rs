//! Many exchanges, half of them broken off by the client: nothing is left of any.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{Client, Server, config, content, get, http, post, says, whole};
use callgate::{
    AppError, HttpResponseBody, HttpResponseStart, HttpScope, ReceiveEvent, Receiver, Sender,
};

const CLIENTS: u64 = 8;
const REQUESTS: usize = 1250;

/// How many calls there were, and how many of them have not ended.
#[derive(Default)]
struct Calls {
    all: AtomicUsize,
    alive: AtomicUsize,
}

struct Alive(Arc<Calls>);

impl Alive {
    fn new(calls: Arc<Calls>) -> Self {
        calls.all.fetch_add(1, Ordering::SeqCst);
        calls.alive.fetch_add(1, Ordering::SeqCst);
        Self(calls)
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn app(
    calls: Arc<Calls>,
    scope: HttpScope,
    mut receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let _alive = Alive::new(calls);
    match scope.raw_path() {
        "/whole" => whole(&sender, "whole").await,
        "/echo" => {
            let Some((content, _)) = content(&mut receiver).await else {
                return Ok(());
            };
            whole(&sender, content).await
        }
        "/stream" => {
            sender.send(HttpResponseStart::ok()).await?;
            for _ in 0..10 {
                sender.send(HttpResponseBody::part("part ")).await?;
                tokio::task::yield_now().await;
            }
            Ok(sender.send(HttpResponseBody::end()).await?)
        }
        "/background" => {
            whole(&sender, "whole").await?;
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            Ok(())
        }
        // Only the client's going away ends it.
        _ => {
            sender.send(HttpResponseStart::ok()).await?;
            sender.send(HttpResponseBody::part("")).await?;
            while receiver.receive().await != ReceiveEvent::HttpDisconnect {}
            Ok(())
        }
    }
}

/// Numbers that look random and are the same in each run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

async fn run_client(server: Arc<Server>, seed: u64) {
    let mut random = Random(seed);
    let mut kept: Option<Client> = None;
    for _ in 0..REQUESTS {
        let mut client = match kept.take() {
            Some(client) => client,
            None => server.connect().await,
        };
        let is_aborted = random.below(2) == 0;
        let (request, answer) = match random.below(if is_aborted { 5 } else { 4 }) {
            0 => (get("/whole"), "whole".to_owned()),
            1 => {
                let content = "content ".repeat(random.below(200));
                (post("/echo", &content), content)
            }
            2 => (get("/stream"), "part ".repeat(10)),
            3 => (get("/background"), "whole".to_owned()),
            _ => (get("/wait"), String::new()),
        };
        if !is_aborted {
            client.send(&request).await;
            assert_eq!(client.response().await.body, answer);
            kept = Some(client);
            continue;
        }
        // Up to nothing, a part of the request, all of it, or a part of the response.
        match random.below(4) {
            0 => {
                client.send(&request[..random.below(request.len())]).await;
            }
            1 => client.send(&request).await,
            2 => {
                client.send(&request).await;
                client.bytes(1 + random.below(50)).await;
            }
            _ => {
                client.send(&request).await;
                client.half_close().await;
                client.rest().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn core_09_nothing_is_left_of_exchanges_that_clients_broke_off() {
    let calls = Arc::new(Calls::default());
    // Some clients close their sending side while their application waits.
    let config = config().timeout_half_close(Duration::from_millis(10));
    let server = Arc::new(Server::with(config, http(calls.clone(), app)));
    let clients: Vec<_> = (1..=CLIENTS)
        .map(|seed| {
            let random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            tokio::spawn(run_client(server.clone(), random))
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let server = Arc::into_inner(server).expect("all clients have ended");
    server.finish().await;
    assert_eq!(calls.alive.load(Ordering::SeqCst), 0);
    // Each that was not broken off within its head has been called.
    assert!(calls.all.load(Ordering::SeqCst) > CLIENTS as usize * REQUESTS / 2);
}

#[tokio::test]
async fn a_server_that_no_process_replaces_stops_at_its_limit_of_requests() {
    let config = config().limit_max_requests(Some(2));
    let mut server = Server::with(config, says("served"));
    for _ in 0..2 {
        let mut client = server.connect().await;
        client.send(get("/")).await;
        assert_eq!(client.response().await.body, "served");
    }
    server.ended().await.unwrap();
}
