//! The two connections to Redis.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo as _,
    ProtocolVersion, PushInfo, PushKind, RedisError, ServerErrorKind, Value,
};
use tokio::sync::Notify;

use crate::{Error, Settings};

/// The longest time between two attempts to connect.
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(1);

/// Connects to a Redis.
#[derive(Debug)]
pub(super) struct Connector {
    client: Client,
    /// What is connected to, for messages.
    target: String,
    settings: Settings,
}

/// The connections at a time: one for commands, one for subscriptions. Both are replaced together.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) commands: MultiplexedConnection,
    pub(super) subscriptions: MultiplexedConnection,
    /// Whether the Redis has sharded pub/sub.
    is_sharded: bool,
    /// Is notified when a connection is lost.
    pub(super) lost: Arc<Notify>,
    /// Is different for each session.
    pub(super) generation: u64,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(url: &str, settings: Settings) -> Result<Self, Error> {
        let invalid = |reason: RedisError| Error::InvalidUrl {
            reason: format!(
                "the URL of Redis is not understood: {} (write redis://HOST:PORT, or rediss:// for TLS)",
                plain(&reason)
            ),
        };
        let info = url.into_connection_info().map_err(invalid)?;
        if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            // This fails if the application has chosen a provider of cryptography, which is used then.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let redis = info.redis_settings().clone();
        let info = info.set_redis_settings(redis.set_protocol(ProtocolVersion::RESP3));
        let target = format!("redis at {}", info.addr());
        let client = Client::open(info).map_err(invalid)?;
        Ok(Self {
            client,
            target,
            settings,
        })
    }

    /// Connects twice. `receive` is called with the channel and the content of each message.
    pub(super) async fn connect(
        &self,
        generation: u64,
        receive: impl Fn(&str, Vec<u8>) + Send + Sync + 'static,
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
                        receive(channel, std::mem::take(content));
                    }
                }
                _ => {}
            }
            Ok::<(), ()>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.timeout))
            .set_response_timeout(Some(self.settings.timeout));
        let connect = |config: AsyncConnectionConfig| async move {
            self.client
                .get_multiplexed_async_connection_with_config(&config)
                .await
        };
        let mut commands = connect(config.clone().set_push_sender(watch_commands)).await?;
        let subscriptions = connect(config.set_push_sender(watch_subscriptions)).await?;
        let is_sharded = redis::cmd("EVAL")
            .arg("return redis.REDIS_VERSION_NUM and 1 or 0")
            .arg(0)
            .query_async(&mut commands)
            .await?;
        Ok(Session {
            commands,
            subscriptions,
            is_sharded,
            lost,
            generation,
        })
    }

    /// Returns the error for what was not sent.
    pub(super) fn unreachable(&self, reason: String) -> Error {
        Error::Unreachable {
            target: self.target.clone(),
            reason,
            retry: Some(LONGEST_RETRY),
        }
    }

    /// Returns the error for a layer that does not start.
    pub(super) fn not_started(&self, error: &RedisError) -> Error {
        Error::Unreachable {
            target: self.target.clone(),
            reason: plain(error),
            retry: None,
        }
    }

    /// Returns the error for what was sent.
    pub(super) fn error(&self, error: &RedisError) -> Error {
        let target = self.target.clone();
        let reason = plain(error);
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown) => {
                self.unreachable(reason)
            }
            ErrorKind::Server(_) | ErrorKind::Extension => Error::Refused { target, reason },
            _ => Error::Unconfirmed { target, reason },
        }
    }

    /// Returns the error when there is no answer in time.
    pub(super) fn timed_out(&self) -> Error {
        Error::Unconfirmed {
            target: self.target.clone(),
            reason: format!("timed out after {:?}", self.settings.timeout),
        }
    }

    /// Returns why a connection failed, with what was to be reached.
    pub(super) fn reason(&self, error: &RedisError) -> String {
        format!("{}: {}", self.target, plain(error))
    }
}

impl Session {
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
            let command = match (self.is_sharded, is_subscribe) {
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

/// Returns the message of an error without the names of its categories where there is a plainer one.
fn plain(error: &RedisError) -> String {
    error.detail().map_or_else(
        || error.to_string(),
        |detail| match error.code() {
            Some(code) => format!("{code} {detail}"),
            None => detail.to_owned(),
        },
    )
}
