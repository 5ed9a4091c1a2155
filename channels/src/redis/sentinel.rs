//! The master that sentinels know.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, Value,
};

use super::address::{at, plain};

/// A service that sentinels watch. Each connection begins with the question where its master is.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) sentinels: Vec<Client>,
    /// How to connect to the master, but for its address.
    pub(super) master: ConnectionInfo,
}

impl Service {
    /// Connects to the master, as the first sentinel with a right answer knows it: a sentinel may not be reached, or
    /// may not know yet of another master.
    pub(super) async fn connect(
        &self,
        of_sentinel: &AsyncConnectionConfig,
        of_master: &AsyncConnectionConfig,
    ) -> Result<(Client, MultiplexedConnection), RedisError> {
        let mut failures = Vec::new();
        for sentinel in &self.sentinels {
            match self.connect_by(sentinel, of_sentinel, of_master).await {
                Ok(connected) => return Ok(connected),
                Err(error) => {
                    let address = sentinel.get_connection_info().addr();
                    failures.push(format!("sentinel {address}: {}", plain(&error)));
                }
            }
        }
        Err(failure(failures.join("; ")))
    }

    async fn connect_by(
        &self,
        sentinel: &Client,
        of_sentinel: &AsyncConnectionConfig,
        of_master: &AsyncConnectionConfig,
    ) -> Result<(Client, MultiplexedConnection), RedisError> {
        let info = self.ask(sentinel, of_sentinel).await?;
        let named = format!("its master {}", info.addr());
        let client = Client::open(info)?;
        let mut connection = client
            .get_multiplexed_async_connection_with_config(of_master)
            .await
            .map_err(|error| failure(format!("{named}: {}", plain(&error))))?;
        let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
        let is_master = matches!(role.first(), Some(Value::BulkString(role)) if role == b"master");
        // A master that was paused may have been replaced before it has answered.
        let again = self.ask(sentinel, of_sentinel).await?;
        if is_master && again.addr() == client.get_connection_info().addr() {
            Ok((client, connection))
        } else {
            Err(failure(format!("{named} is none")))
        }
    }

    /// Checks that a sentinel still names this master, unless none answers.
    pub(super) async fn confirm(
        &self,
        master: &ConnectionAddr,
        of_sentinel: &AsyncConnectionConfig,
    ) -> Result<(), RedisError> {
        let asking = self.sentinels.iter().map(|it| self.ask(it, of_sentinel));
        let mut answers: FuturesUnordered<_> = asking.collect();
        let mut other = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(info) if info.addr() == master => return Ok(()),
                Ok(info) => other = Some(info),
                Err(_) => {}
            }
        }
        match other {
            Some(info) => Err(failure(format!("the master is {} now", info.addr()))),
            None => Ok(()),
        }
    }

    /// Asks a sentinel how to connect to the master.
    async fn ask(
        &self,
        sentinel: &Client,
        of_sentinel: &AsyncConnectionConfig,
    ) -> Result<ConnectionInfo, RedisError> {
        let mut connection = sentinel
            .get_multiplexed_async_connection_with_config(of_sentinel)
            .await?;
        let address: Option<(String, u16)> = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.name)
            .query_async(&mut connection)
            .await?;
        match address {
            Some((host, port)) => Ok(at(&self.master, host, port)),
            None => Err(failure("it knows no service of this name".to_owned())),
        }
    }
}

fn failure(reason: String) -> RedisError {
    (ErrorKind::Io, "", reason).into()
}
