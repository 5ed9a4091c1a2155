//! The addresses that a server binds to: several at once, names, and Unix sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use callgate_server::config::{BindAddress, Config};
use callgate_server::{ListenAddr, ServeError, Server};
use tokio::net::{TcpStream, UnixStream};

use crate::listeners::ask;
use crate::support::{says, within};

fn unix(path: &Path) -> BindAddress {
    BindAddress::Unix(path.into())
}

/// Returns the configuration of a server on a Unix socket.
fn on(path: &Path) -> Config {
    Config::new().bind(unix(path))
}

fn bind(config: Config) -> Result<Server, ServeError> {
    Server::new(says("served")).config(config).bind()
}

/// Returns the text of the error of a server that cannot bind.
fn error(config: Config) -> String {
    bind(config).expect_err("a server is bound").to_string()
}

#[tokio::test]
async fn a_server_serves_on_all_addresses_that_it_binds() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = bind(on(&path).bind(local).bind(local)).unwrap();
    let ports: Vec<_> = (server.local_addrs().iter())
        .filter_map(|address| match address {
            ListenAddr::Tcp(address) => Some(*address),
            _ => None,
        })
        .collect();
    assert_eq!(ports.len(), 2);
    let handle = server.handle();
    let serving = tokio::spawn(server.serve_until(std::future::pending()));
    for address in ports {
        let stream = within(TcpStream::connect(address)).await.unwrap();
        assert!(ask(stream).await.ends_with("served"));
    }
    let stream = within(UnixStream::connect(&path)).await.unwrap();
    assert!(ask(stream).await.ends_with("served"));
    handle.shutdown();
    within(serving).await.unwrap().unwrap();
    assert!(!path.exists(), "the socket is removed at the end");
}

#[tokio::test]
async fn a_name_is_bound_on_all_its_addresses_on_one_port() {
    let server = bind(Config::new().bind(BindAddress::Tcp("localhost".into(), 0))).unwrap();
    let addresses: Vec<_> = (server.local_addrs().iter())
        .map(|address| match address {
            ListenAddr::Tcp(address) => *address,
            other => panic!("{other}"),
        })
        .collect();
    assert!(addresses.iter().all(|address| address.ip().is_loopback()));
    let port = addresses[0].port();
    assert_ne!(port, 0);
    assert!(addresses.iter().all(|address| address.port() == port));
}

#[tokio::test]
async fn the_socket_of_a_dead_server_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    // The listener is gone, and its file is left.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let server = bind(on(&path)).unwrap();
    assert!(UnixStream::connect(&path).await.is_ok());
    drop(server);
    assert!(!path.exists());
}

#[tokio::test]
async fn the_socket_of_a_living_server_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let living = bind(on(&path)).unwrap();
    let expected = format!(
        "cannot listen on unix:{}: another server listens there",
        path.display()
    );
    assert_eq!(error(on(&path)), expected);
    assert!(UnixStream::connect(&path).await.is_ok());
    drop(living);
}

#[test]
fn a_file_that_is_not_a_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    std::fs::write(&path, "data").unwrap();
    let error = error(on(&path));
    assert!(
        error.ends_with("there is a file which is not a socket"),
        "{error}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "data");
}

#[test]
fn the_socket_of_another_server_in_the_same_place_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let first = bind(on(&path)).unwrap();
    std::fs::remove_file(&path).unwrap();
    let second = bind(on(&path)).unwrap();
    drop(first);
    assert!(path.exists(), "the second server listens here");
    drop(second);
    assert!(!path.exists());
}

#[test]
fn a_socket_has_the_permissions_and_the_owner_that_are_set() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let owner = std::fs::metadata(directory.path()).unwrap();
    let config = on(&path)
        .uds_mode(Some(0o640))
        .uds_owner(Some((owner.uid(), owner.gid()).into()));
    let _server = bind(config).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    assert_eq!((metadata.uid(), metadata.gid()), (owner.uid(), owner.gid()));
}

#[test]
fn a_socket_that_cannot_be_set_up_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let mut config = on(&path);
    config.listen.backlog = 1;
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = config.bind(taken.local_addr().unwrap());
    let error = error(config);
    assert!(error.contains("address already in use"), "{error}");
    assert!(!path.exists());
}

#[test]
fn the_admin_listener_is_not_bound_to_the_address_for_clients() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = Config::new()
        .port(address.port())
        .admin(Some(address.into()));
    let error = error(config);
    assert!(error.contains("`admin` and `port`"), "{error}");
}
