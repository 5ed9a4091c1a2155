//! # Callgate: the channel layer
//!
//! Groups, presence and direct messages for applications on one machine or on many. The crate depends on no
//! server and no framework: any asynchronous Rust application can use the layer.
//!
//! - [`Group::publish`] publishes text, bytes or JSON to all subscribers of a group, in all processes.
//! - [`Group::subscribe`] is a `Stream` of numbered events. [`Group::subscribe_from`] continues where a
//!   client left off.
//! - **Nothing is lost in silence.** The stream yields a [`Missed`] in the place of events that it cannot yield: after
//!   an overrun of a slow subscriber, a reconnect, or a loss of the store's data.
//! - [`Group::join`] makes a member present. [`Group::members`] lists the members of all processes, joins and
//!   leaves are events of the group, and [`Group::send_to`] sends to one member.
//!
//! The [chapter](documents::channels) has the rules on which an application may rely. Each rule has a test in the
//! public [suite].
//!
//! | Backend | URL | Feature |
//! | --- | --- | --- |
//! | [`MemoryBackend`] | `memory` | |
//! | [`RedisBackend`] | `redis://127.0.0.1:6379`, `rediss://...` for TLS, `redis+sentinel://...`, `redis+cluster://...` | `redis` |
//!
//! ```
//! use callgate_channels::{ChannelLayer, GroupEvent, Missed};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), callgate_channels::Error> {
//! let layer = ChannelLayer::memory();
//! let prices = layer.group("prices");
//!
//! let mut subscription = prices.subscribe().await?;
//! prices.publish(r#"{"EUR": 1.09}"#).await?;
//! # layer.close().await;
//! while let Some(event) = subscription.next().await {
//!     match event {
//!         GroupEvent::Message(message) => println!("{} {:?}", message.sequence, message.payload),
//!         GroupEvent::Missed(Missed { from, to }) => println!("load again: {from} to {to} are missing"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod backend;
mod error;
mod event;
mod group;
mod health;
mod layer;
mod member;
mod membership;
mod memory;
mod metrics;
mod payload;
#[cfg(feature = "prometheus")]
mod prometheus;
mod random;
#[cfg(feature = "redis")]
mod redis;
mod sequence;
mod settings;
mod subscription;
#[cfg(feature = "suite")]
pub mod suite;
mod sync;

#[cfg(feature = "redis")]
pub use self::redis::RedisBackend;
pub use error::Error;
pub use event::{GroupEvent, Message, Missed};
pub use group::{Group, Subscribe};
pub use health::Health;
pub use layer::ChannelLayer;
pub use member::{Member, MemberId};
pub use membership::Membership;
pub use memory::MemoryBackend;
pub use metrics::Metrics;
pub use payload::Payload;
#[cfg(feature = "prometheus")]
pub use prometheus::MetricsCollector;
pub use sequence::Sequence;
pub use settings::Settings;
pub use subscription::{SlowConsumer, Subscription};

/// The documents.
pub mod documents {
    #[doc = include_str!("../docs/channels.md")]
    pub mod channels {}
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
