//! `counter` and `chat` of several processes with one Redis.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::redis::RedisServer;
use crate::{Socket, TestServer, app, http_client, websocket};

/// Returns two servers of the gallery, as two processes would be.
fn two_servers(redis: &RedisServer) -> [TestServer; 2] {
    [(); 2].map(|()| TestServer::app(app("gallery", &redis.settings())))
}

/// Returns the number of connections of channel layers to a Redis.
fn connections(redis: &RedisServer) -> usize {
    let url = redis.url();
    let mut connection = UnixStream::connect(url.trim_start_matches("unix://")).unwrap();
    connection.write_all(b"CLIENT LIST\r\nQUIT\r\n").unwrap();
    let mut clients = String::new();
    connection.read_to_string(&mut clients).unwrap();
    // A layer speaks RESP3, and this connection does not.
    clients.matches("resp=3").count()
}

async fn stop(servers: [TestServer; 2]) {
    for server in servers {
        server.stop().await;
    }
}

/// How long a test waits for what must happen.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Returns the next text. The server pings a client that is silent.
async fn text(socket: &mut Socket) -> String {
    loop {
        let message = timeout(TIMEOUT, socket.next()).await;
        match message.expect("a message in time").unwrap().unwrap() {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn count(socket: &mut Socket) -> u32 {
    text(socket).await.parse().unwrap()
}

async fn until_count(socket: &mut Socket, expected: u32) {
    while count(socket).await != expected {}
}

async fn line(socket: &mut Socket) -> Value {
    serde_json::from_str(&text(socket).await).unwrap()
}

async fn until_line(socket: &mut Socket, expected: &Value) {
    while line(socket).await != *expected {}
}

#[tokio::test]
async fn two_servers_with_one_redis_have_one_count_and_one_room() {
    let redis = RedisServer::start();
    let servers = two_servers(&redis);
    let [here, there] = &servers;
    let mut first = websocket(here, "/counter/").await;
    assert_eq!(count(&mut first).await, 1);
    let mut second = websocket(there, "/counter/").await;
    assert_eq!(count(&mut second).await, 2);
    assert_eq!(count(&mut first).await, 2);
    drop(first);
    assert_eq!(count(&mut second).await, 1);

    let mut ada = websocket(here, "/chat/room/ws").await;
    let welcome = json!({ "type": "welcome", "guest": 1, "guests": [1] });
    assert_eq!(line(&mut ada).await, welcome);
    let mut eva = websocket(there, "/chat/room/ws").await;
    let welcome = json!({ "type": "welcome", "guest": 2, "guests": [1, 2] });
    assert_eq!(line(&mut eva).await, welcome);
    let joined = json!({ "type": "joined", "guest": 2 });
    assert_eq!(line(&mut ada).await, joined);
    for (text, guest) in [("from here", 1), ("from there", 2)] {
        let speaker = if guest == 1 { &mut ada } else { &mut eva };
        speaker.send(Message::text(text)).await.unwrap();
        let message = json!({ "type": "message", "guest": guest, "text": text });
        assert_eq!(line(&mut ada).await, message);
        assert_eq!(line(&mut eva).await, message);
    }
    drop(eva);
    let left = json!({ "type": "left", "guest": 2 });
    assert_eq!(line(&mut ada).await, left);

    let page = http_client::get(here.url("/")).await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains("The channel layer is <b>redis</b>"), "{page}");
    // All applications of a server share one layer.
    assert_eq!(connections(&redis), 4);
    drop((ada, second));
    stop(servers).await;
}

#[tokio::test]
async fn the_first_count_of_a_websocket_includes_it_and_all_before_it() {
    let redis = RedisServer::start();
    let servers = two_servers(&redis);
    let mut sockets = Vec::new();
    for number in 1..=40 {
        let mut socket = websocket(&servers[number % 2], "/counter/").await;
        assert_eq!(count(&mut socket).await as usize, number);
        sockets.push(socket);
    }
    drop(sockets);
    stop(servers).await;
}

#[tokio::test]
async fn guests_who_come_to_several_servers_at_once_have_different_numbers() {
    let redis = RedisServer::start();
    let servers = two_servers(&redis);
    let coming = (0..40).map(|guest| websocket(&servers[guest % 2], "/chat/room/ws"));
    let mut guests = join_all(coming).await;
    let welcomes = join_all(guests.iter_mut().map(line)).await;
    let mut numbers: Vec<_> = welcomes
        .iter()
        .map(|welcome| welcome["guest"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 40);
    drop(guests);
    stop(servers).await;
}

#[tokio::test]
async fn a_redis_that_is_restarted_empty_changes_no_count_and_gives_no_number_again() {
    let mut redis = RedisServer::start();
    let servers = two_servers(&redis);
    let [here, there] = &servers;
    let mut first = websocket(here, "/counter/").await;
    let mut second = websocket(there, "/counter/").await;
    until_count(&mut first, 2).await;
    until_count(&mut second, 2).await;
    let mut ada = websocket(here, "/chat/room/ws").await;
    let mut eva = websocket(there, "/chat/room/ws").await;
    until_line(&mut ada, &json!({ "type": "joined", "guest": 2 })).await;
    assert_eq!(line(&mut eva).await["type"], "welcome");

    redis.kill();
    redis.restart();
    // Both servers have connected again when they tell of the gap.
    for guest in [&mut ada, &mut eva] {
        assert_eq!(line(guest).await["type"], "missed");
    }
    let mut third = websocket(there, "/counter/").await;
    until_count(&mut third, 3).await;
    for socket in [&mut first, &mut second] {
        assert_eq!(count(socket).await, 3, "no other count came before");
    }
    // A new server has not seen which numbers were given, and lists the guests who are there.
    until_line(&mut ada, &json!({ "type": "joined", "guest": 2 })).await;
    until_line(&mut eva, &json!({ "type": "joined", "guest": 1 })).await;
    let new = TestServer::app(app("gallery", &redis.settings()));
    let mut zoe = websocket(&new, "/chat/room/ws").await;
    let welcome = json!({ "type": "welcome", "guest": 3, "guests": [1, 2, 3] });
    assert_eq!(line(&mut zoe).await, welcome);
    ada.send(Message::text("again")).await.unwrap();
    let message = json!({ "type": "message", "guest": 1, "text": "again" });
    for guest in [&mut ada, &mut eva, &mut zoe] {
        loop {
            let line = line(guest).await;
            if line == message {
                break;
            }
            // Guests join again with the numbers that they had, and nobody leaves.
            assert_eq!(line["type"], "joined", "{line}");
        }
    }
    drop((first, second, third, ada, eva, zoe));
    new.stop().await;
    stop(servers).await;
}

#[tokio::test]
async fn without_redis_websockets_are_denied_or_closed_and_pages_are_served() {
    let mut redis = RedisServer::start();
    let servers = two_servers(&redis);
    let [here, _] = &servers;
    let mut counted = websocket(here, "/counter/").await;
    assert_eq!(count(&mut counted).await, 1);
    let mut guest = websocket(here, "/chat/room/ws").await;
    assert_eq!(line(&mut guest).await["type"], "welcome");
    redis.kill();

    guest.send(Message::text("Is anybody here?")).await.unwrap();
    let close = match guest.next().await.unwrap().unwrap() {
        Message::Close(close) => close.unwrap(),
        other => panic!("{other}"),
    };
    assert_eq!(close.code, CloseCode::Again);
    assert_eq!(close.reason.as_str(), "the channel layer is unavailable");
    for path in ["/counter/", "/chat/room/ws"] {
        let url = here.url(path).replacen("http", "ws", 1);
        let Err(Error::Http(response)) = connect_async(url).await else {
            panic!("{path} was not denied");
        };
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(response.headers()["retry-after"], "1");
    }
    for path in ["/", "/counter/", "/chat/room/"] {
        let response = http_client::get(here.url(path)).await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }

    redis.restart();
    // A WebSocket is served as soon as the server has connected again.
    let url = here.url("/counter/").replacen("http", "ws", 1);
    let other = loop {
        if let Ok((other, _)) = connect_async(&url).await {
            break other;
        }
    };
    until_count(&mut counted, 2).await;
    drop((counted, guest, other));
    stop(servers).await;
}

/// The gallery in a process of its own.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(redis: &RedisServer) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_callgate"))
            .args(["run", "gallery", "--port", "0", "--health-path", "/ready"])
            .env_clear()
            .env("CALLGATE_CHANNELS", redis.url())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = loop {
            let line = log.next().expect("it serves").unwrap();
            if let Some((_, url)) = line.split_once("http://") {
                let url = url.split_whitespace().next().unwrap();
                break format!("http://{}", url.trim_end_matches('/'));
            }
        };
        // The log is read to its end, so that the process never blocks on a full pipe.
        std::thread::spawn(move || log.for_each(drop));
        Self { child, url }
    }

    async fn websocket(&self, path: &str) -> Socket {
        let url = format!("{}{path}", self.url).replacen("http", "ws", 1);
        let (socket, _) = connect_async(url).await.unwrap();
        socket
    }

    /// Waits until the server answers that it is ready, or that it is not.
    async fn until_ready(&self, status: u16) {
        let url = format!("{}/ready", self.url);
        let waiting = async { while http_client::get(&url).await.unwrap().status() != status {} };
        let waited = timeout(TIMEOUT, waiting).await;
        assert!(waited.is_ok(), "the status never was {status}");
    }

    /// Ends the process without warning.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_server_is_not_ready_while_redis_is_away_and_needs_no_restart() {
    let mut redis = RedisServer::start();
    let server = Process::start(&redis);
    server.until_ready(200).await;
    redis.kill();
    server.until_ready(503).await;
    let response = http_client::get(format!("{}/hello/", server.url)).await;
    assert_eq!(response.unwrap().status(), 200, "it serves");
    redis.restart();
    server.until_ready(200).await;
    let mut counted = server.websocket("/counter/").await;
    assert_eq!(count(&mut counted).await, 1);
}

/// Takes as long as a member outlives its process: 15 to 20 seconds.
#[tokio::test]
async fn the_sockets_of_a_process_that_is_killed_are_forgotten() {
    let redis = RedisServer::start();
    let [mut killed, survivor] = [(); 2].map(|()| Process::start(&redis));
    let _lost = killed.websocket("/counter/").await;
    let mut counted = survivor.websocket("/counter/").await;
    let mut ada = killed.websocket("/chat/room/ws").await;
    assert_eq!(line(&mut ada).await["guest"], 1);
    let mut eva = survivor.websocket("/chat/room/ws").await;
    let welcome = json!({ "type": "welcome", "guest": 2, "guests": [1, 2] });
    assert_eq!(line(&mut eva).await, welcome);
    until_count(&mut counted, 2).await;

    killed.kill();
    assert_eq!(count(&mut counted).await, 1);
    let left = json!({ "type": "left", "guest": 1 });
    assert_eq!(line(&mut eva).await, left);
}
