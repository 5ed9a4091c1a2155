//! The two connections to Redis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ErrorKind, PushInfo, PushKind, RedisError,
    ServerErrorKind, Value,
};
use tokio::sync::Notify;

use super::address::{Address, Place, plain};
use crate::{Error, Settings};

/// The longest time between two attempts to connect.
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(1);

/// Connects to a Redis.
#[derive(Debug)]
pub(super) struct Connector {
    address: Address,
    settings: Settings,
}

/// The connections at a time: one for commands, one for subscriptions. Both are replaced together.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) connector: Arc<Connector>,
    pub(super) commands: MultiplexedConnection,
    pub(super) subscriptions: MultiplexedConnection,
    pub(super) server: Arc<Server>,
    /// Is notified when a connection is lost.
    pub(super) lost: Arc<Notify>,
    /// Is different for each session.
    pub(super) generation: u64,
}

/// What there is at the other end of the connections.
#[derive(Debug)]
pub(super) struct Server {
    address: ConnectionAddr,
    /// Differs for each Redis, and for each start of it.
    pub(super) run: String,
    /// Whether the Redis has sharded pub/sub.
    pub(super) is_sharded: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(address: Address, settings: Settings) -> Self {
        Self { address, settings }
    }

    /// Returns what is connected to, for messages.
    pub(super) fn target(&self) -> &str {
        &self.address.target
    }

    /// Connects twice. `receive` is called with the channel and the content of each message, and without content when
    /// the channel is no longer on this node.
    pub(super) async fn connect(
        self: &Arc<Self>,
        generation: u64,
        receive: impl Fn(&str, Option<Vec<u8>>) + Send + Sync + 'static,
    ) -> Result<Session, RedisError> {
        let lost = Arc::new(Notify::new());
        let of_commands = Arc::clone(&lost);
        let watch_commands = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                of_commands.notify_one();
            }
            Ok::<(), ()>(())
        };
        let of_subscriptions = Arc::clone(&lost);
        let watch_subscriptions = move |push: PushInfo| {
            match push.kind {
                PushKind::Disconnection => of_subscriptions.notify_one(),
                PushKind::Message | PushKind::SMessage => {
                    let mut data = push.data;
                    if let [Value::BulkString(channel), Value::BulkString(content)] = &mut data[..]
                        && let Ok(channel) = std::str::from_utf8(channel)
                    {
                        receive(channel, Some(std::mem::take(content)));
                    }
                }
                PushKind::SUnsubscribe => {
                    if let [Value::BulkString(channel), ..] = &push.data[..]
                        && let Ok(channel) = std::str::from_utf8(channel)
                    {
                        receive(channel, None);
                    }
                }
                _ => {}
            }
            Ok::<(), ()>(())
        };
        let config = self.config();
        let of_commands = config.clone().set_push_sender(watch_commands);
        let of_subscriptions = config.clone().set_push_sender(watch_subscriptions);
        let (client, mut commands) = match &self.address.place {
            Place::Server(client) => {
                let connect = client.get_multiplexed_async_connection_with_config(&of_commands);
                (client.clone(), connect.await?)
            }
            Place::Sentinels(service) => service.connect(&config, &of_commands).await?,
        };
        let subscriptions = client
            .get_multiplexed_async_connection_with_config(&of_subscriptions)
            .await?;
        let address = client.get_connection_info().addr().clone();
        let server = Arc::new(Server::of(address, &mut commands).await?);
        Ok(Session {
            connector: Arc::clone(self),
            commands,
            subscriptions,
            server,
            lost,
            generation,
        })
    }

    fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.timeout))
            .set_response_timeout(Some(self.settings.timeout))
    }

    /// Checks that the sentinels, if there are any, still name the master of a session. A master that is cut off from its
    /// sentinels may not know that another one has replaced it.
    pub(super) async fn confirm(&self, session: &Session) -> Result<(), RedisError> {
        match &self.address.place {
            Place::Server(_) => Ok(()),
            Place::Sentinels(service) => {
                service
                    .confirm(&session.server.address, &self.config())
                    .await
            }
        }
    }

    /// Returns the error for what was not sent.
    pub(super) fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable {
            target: self.address.target.clone(),
            reason,
            retry: Some(LONGEST_RETRY),
        }
    }

    /// Returns the error for a layer that does not start.
    pub(super) fn not_started(&self, error: &RedisError) -> Error {
        Error::Unreachable {
            target: self.address.target.clone(),
            reason: plain(error),
            retry: None,
        }
    }

    /// Returns the error for what was sent.
    pub(super) fn error(&self, error: &RedisError) -> Error {
        let target = self.address.target.clone();
        let reason = plain(error);
        match error.kind() {
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly,
            ) => self.unreachable(reason),
            _ if is_elsewhere(error) => self.unreachable(reason),
            ErrorKind::Server(_) | ErrorKind::Extension => Error::Refused { target, reason },
            _ => Error::Unconfirmed { target, reason },
        }
    }

    /// Returns the error when there is no answer in time.
    pub(super) fn timed_out(&self) -> Error {
        Error::Unconfirmed {
            target: self.address.target.clone(),
            reason: format!("timed out after {:?}", self.settings.timeout),
        }
    }
}

impl Server {
    /// Returns the host; nothing for a Unix socket.
    pub(super) fn host(&self) -> &str {
        match &self.address {
            ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
            _ => "",
        }
    }

    async fn of(
        address: ConnectionAddr,
        connection: &mut MultiplexedConnection,
    ) -> Result<Self, RedisError> {
        let (info, commands): (String, Vec<Option<Value>>) = redis::pipe()
            .cmd("INFO")
            .arg("server")
            .cmd("COMMAND")
            .arg("INFO")
            .arg("SPUBLISH")
            .query_async(connection)
            .await?;
        let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
        Ok(Self {
            address,
            // A part of the 160 random bits is enough, and each event has it.
            run: run.unwrap_or_default().chars().take(8).collect(),
            is_sharded: commands.iter().any(Option::is_some),
        })
    }
}

impl Session {
    /// Notes an error of the Redis: another one may have become the master.
    pub(super) fn note(&self, error: &RedisError) {
        if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) {
            self.lost.notify_one();
        }
    }

    /// Checks that both connections answer.
    pub(super) async fn ping(&self) -> Result<(), RedisError> {
        for connection in [&self.commands, &self.subscriptions] {
            let mut connection = connection.clone();
            redis::cmd("PING")
                .query_async::<()>(&mut connection)
                .await?;
        }
        Ok(())
    }

    /// Subscribes to channels, and unsubscribes from others, in the order of `changes`.
    pub(super) async fn change_subscriptions(
        &self,
        changes: &[(bool, String)],
    ) -> Result<(), RedisError> {
        if changes.is_empty() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        for (is_subscribe, channel) in changes {
            let command = match (self.server.is_sharded, is_subscribe) {
                (true, true) => "SSUBSCRIBE",
                (true, false) => "SUNSUBSCRIBE",
                (false, true) => "SUBSCRIBE",
                (false, false) => "UNSUBSCRIBE",
            };
            pipeline.cmd(command).arg(channel).ignore();
        }
        let mut connection = self.subscriptions.clone();
        pipeline.query_async(&mut connection).await
    }
}

/// Returns whether a node has not run a command because the slot is on another node, or on its way to one.
pub(super) fn is_elsewhere(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(
            ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown,
        ) => true,
        // A script has met a key of the slot that is there no longer. What it has done before can be done again.
        _ => error
            .detail()
            .is_some_and(|detail| detail.contains("access a non local key")),
    }
}
