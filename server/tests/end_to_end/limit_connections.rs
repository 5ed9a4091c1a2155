//! Limits on the number of connections, and the connections that are closed to make room.

use std::num::NonZeroUsize;

use callgate::App;
use callgate_server::{Config, ProxyProtocol};
use tokio::net::TcpSocket;

use crate::support::{Client, Gate, Server, Teller, config, get, http, http2, says, tell, whole};

fn at_most(connections: usize) -> Config {
    config().max_connections(NonZeroUsize::new(connections))
}

/// Responds to `/wait` when the gate is open, and to other requests at once.
fn waits(gate: &Gate, begun: Teller<()>) -> impl App + use<> {
    let shared = (gate.clone(), begun);
    http(shared, async |(gate, begun), scope, _, sender| {
        if scope.raw_path() == "/wait" {
            begun.tell(());
            gate.passed().await;
        }
        whole(&sender, "served").await
    })
}

async fn served(client: &mut Client) {
    assert_eq!(client.response().await.body, "served");
}

#[tokio::test]
async fn the_connection_that_has_been_idle_for_the_longest_time_makes_room_for_a_new_one() {
    let server = Server::with(at_most(3), says("served"));
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.send(get("/")).await;
        served(&mut client).await;
        clients.push(client);
    }
    // From now on, the second has been idle for the longest time.
    clients[0].send(get("/")).await;
    served(&mut clients[0]).await;
    clients.push(server.connect().await);
    clients[3].send(get("/")).await;
    served(&mut clients[3]).await;
    assert_eq!(clients.remove(1).rest().await, "");
    for client in &mut clients {
        client.send(get("/")).await;
        served(client).await;
    }
    drop(clients);
    server.finish().await;
}

#[tokio::test]
async fn while_all_connections_are_in_use_a_new_one_waits() {
    let gate = Gate::new();
    let (begun, mut is_begun) = tell();
    let server = Server::with(at_most(1), waits(&gate, begun));
    let mut first = server.connect().await;
    first.send(get("/wait")).await;
    is_begun.next().await;
    let mut second = server.connect().await;
    second.send(get("/")).await;
    gate.open();
    served(&mut first).await;
    served(&mut second).await;
    assert_eq!(first.rest().await, "");
    drop(second);
    server.finish().await;
}

#[tokio::test]
async fn an_idle_connection_of_http2_makes_room_with_goaway() {
    let server = Server::with(at_most(1), says("served"));
    let mut idle = http2::Client::connect(&server).await;
    assert_eq!(idle.text("/").await, "served");
    let response = server.ask(get("/").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"));
    assert_eq!(response.await.body, "served");
    // Without GOAWAY, the end of the connection would be an error.
    idle.connection.await.unwrap().unwrap();
    server.finish().await;
}

#[tokio::test]
async fn a_client_with_too_many_connections_is_closed_and_other_clients_are_not() {
    let gate = Gate::new();
    let (begun, mut is_begun) = tell();
    let config = config()
        .max_client_connections(NonZeroUsize::new(2))
        .forwarded_allow_ips("".parse().unwrap());
    let server = Server::with(config, waits(&gate, begun));
    let mut clients = Vec::new();
    for path in ["/", "/wait"] {
        let mut client = server.connect().await;
        client.send(get(path)).await;
        clients.push(client);
    }
    is_begun.next().await;
    served(&mut clients[0]).await;
    // The idle one makes room.
    let mut third = server.connect().await;
    third.send(get("/wait")).await;
    is_begun.next().await;
    assert_eq!(clients[0].rest().await, "");
    // None is idle any more.
    let mut refused = server.connect().await;
    assert_eq!(refused.rest().await, "");
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = Client::over(socket.connect(server.address).await.unwrap());
    other.send(get("/")).await;
    served(&mut other).await;
    gate.open();
    gate.open();
    served(&mut clients[1]).await;
    served(&mut third).await;
    drop((clients, third, other));
    server.finish().await;
}

#[tokio::test]
async fn the_client_of_the_proxy_protocol_is_counted_and_its_proxy_is_not() {
    let config = config()
        .max_client_connections(NonZeroUsize::MIN.into())
        .proxy_protocol(ProxyProtocol::Required);
    let gate = Gate::new();
    let (begun, mut is_begun) = tell();
    let server = Server::with(config, waits(&gate, begun));
    let mut clients = Vec::new();
    for address in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        let mut client = server.connect().await;
        let header = format!("PROXY TCP4 {address} 192.0.2.9 1025 80\r\n");
        client.send(header + &get("/wait")).await;
        if clients.len() == 2 {
            assert_eq!(client.rest().await, "");
        } else {
            is_begun.next().await;
        }
        clients.push(client);
    }
    gate.open();
    gate.open();
    served(&mut clients[0]).await;
    served(&mut clients[1]).await;
    drop(clients);
    server.finish().await;
}
