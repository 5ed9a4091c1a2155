//! A TCP proxy to a database, which can be closed.

use sqlx::postgres::PgConnectOptions;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::{JoinHandle, JoinSet};
use url::Url;

use crate::postgres::Database;

/// The password, which no message may show.
pub(crate) const PASSWORD: &str = "5ecret-of-the-database";

/// A port that forwards connections to a database while it is open.
pub(crate) struct TcpProxy {
    target: PgConnectOptions,
    /// The URL of the database through the proxy, with a password.
    pub(crate) url: Url,
    carrying: Option<JoinHandle<()>>,
}

impl TcpProxy {
    pub(crate) async fn to(database: &Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut url = database.url.clone();
        url.set_host(Some("127.0.0.1")).unwrap();
        let port = listener.local_addr().unwrap().port();
        url.set_port(Some(port)).unwrap();
        if url.password().is_none() {
            url.set_password(Some(PASSWORD)).unwrap();
        }
        let target: PgConnectOptions = database.url.as_str().parse().unwrap();
        let carrying = Some(tokio::spawn(carry(listener, target.clone())));
        Self {
            target,
            url,
            carrying,
        }
    }

    /// Closes the connections, and refuses new ones.
    pub(crate) async fn close(&mut self) {
        let carrying = self.carrying.take().unwrap();
        carrying.abort();
        assert!(carrying.await.unwrap_err().is_cancelled());
    }

    pub(crate) async fn reopen(&mut self) {
        let address = format!("127.0.0.1:{}", self.url.port().unwrap());
        let listener = TcpListener::bind(address).await.unwrap();
        self.carrying = Some(tokio::spawn(carry(listener, self.target.clone())));
    }
}

async fn carry(listener: TcpListener, target: PgConnectOptions) {
    let mut connections = JoinSet::new();
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let target = target.clone();
        connections.spawn(async move {
            // Both connections are closed, however the copying ends.
            let _ = match target.get_socket() {
                Some(directory) => {
                    let socket = directory.join(format!(".s.PGSQL.{}", target.get_port()));
                    let mut server = UnixStream::connect(socket).await.unwrap();
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                }
                None => {
                    let address = (target.get_host(), target.get_port());
                    let mut server = TcpStream::connect(address).await.unwrap();
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                }
            };
        });
    }
}
