//! Groups.

use std::future::IntoFuture;
use std::sync::atomic::Ordering;

use crate::backend::{BoxFuture, Start, Topic};
use crate::{ChannelLayer, Error, Member, MemberId, Payload, Sequence, SlowConsumer, Subscription};

/// A group of a layer: a name under which messages are published, and under which members are present.
///
/// A group is created by [`ChannelLayer::group`]. It is a handle, and cheap to clone.
#[derive(Clone, Debug)]
pub struct Group {
    layer: ChannelLayer,
    topic: Topic,
}

impl ChannelLayer {
    /// Returns the group of this name, which is any text. A group needs no creation and no removal.
    #[must_use]
    pub fn group(&self, name: &str) -> Group {
        Group {
            layer: self.clone(),
            topic: Topic::group(name),
        }
    }
}

impl Group {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.topic.group_name()
    }

    /// Returns the layer.
    #[must_use]
    pub fn layer(&self) -> &ChannelLayer {
        &self.layer
    }

    /// Publishes a message, and returns its number once the store has the message.
    ///
    /// # Errors
    ///
    /// [`Error::NameTooLong`], [`Error::MessageTooLarge`] and [`Error::Unreachable`] if nothing was sent;
    /// [`Error::Unconfirmed`] if the message may have been published; [`Error::Refused`]; [`Error::Closed`].
    pub async fn publish(&self, message: impl Into<Payload>) -> Result<Sequence, Error> {
        self.publish_to(&self.topic, message.into()).await
    }

    /// Publishes a value as JSON, as [`publish`](Self::publish) does.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish); [`Error::Serialise`].
    #[cfg(feature = "json")]
    pub async fn publish_json<T: serde::Serialize + ?Sized>(
        &self,
        value: &T,
    ) -> Result<Sequence, Error> {
        let payload = Payload::json(value).map_err(|reason| Error::Serialise {
            reason: reason.to_string(),
        })?;
        self.publish(payload).await
    }

    /// Publishes a message to one member, wherever the member is connected. The member finds the message in
    /// its [inbox](crate::Membership::inbox).
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish); [`Error::NoSuchMember`].
    pub async fn send_to(
        &self,
        member: &MemberId,
        message: impl Into<Payload>,
    ) -> Result<Sequence, Error> {
        self.publish_to(&self.topic.inbox(member), message.into())
            .await
    }

    async fn publish_to(&self, topic: &Topic, payload: Payload) -> Result<Sequence, Error> {
        self.check_name()?;
        self.check_payload(&payload)?;
        let counters = self.layer.counters();
        let result = self.layer.backend().publish(topic, payload).await;
        let counter = match result {
            Ok(_) => &counters.published,
            Err(_) => &counters.publish_errors,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        result
    }

    /// Subscribes to the events after the last one.
    ///
    /// ```
    /// # use callgate_channels::{ChannelLayer, SlowConsumer};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), callgate_channels::Error> {
    /// # let group = ChannelLayer::memory().group("room:7");
    /// let subscription = group.subscribe().await?;
    /// let strict = group.subscribe().slow_consumer(SlowConsumer::Close).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe(&self) -> Subscribe {
        self.subscribe_at(Start::Now)
    }

    /// Subscribes to the events after the event with this number: those that the store has kept, then new
    /// events, with a [`Missed`](crate::Missed) in the place of what the store has not kept.
    /// [`Sequence::ZERO`] is before the oldest event that is kept.
    pub fn subscribe_from(&self, sequence: Sequence) -> Subscribe {
        self.subscribe_at(Start::After(sequence))
    }

    fn subscribe_at(&self, start: Start) -> Subscribe {
        Subscribe {
            group: self.clone(),
            topic: self.topic.clone(),
            start,
            slow_consumer: SlowConsumer::default(),
        }
    }

    /// Returns the members in all processes, in the order of their IDs.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    pub async fn members(&self) -> Result<Vec<Member>, Error> {
        self.check_name()?;
        self.layer.backend().members(&self.topic).await
    }

    /// Returns the number of members in all processes.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish).
    pub async fn member_count(&self) -> Result<usize, Error> {
        self.check_name()?;
        self.layer.backend().member_count(&self.topic).await
    }

    pub(crate) fn topic(&self) -> &Topic {
        &self.topic
    }

    /// Subscribes to the inbox of a member of this group.
    pub(crate) fn subscribe_to_inbox(&self, member: &MemberId) -> Subscribe {
        Subscribe {
            topic: self.topic.inbox(member),
            ..self.subscribe()
        }
    }

    pub(crate) fn check_name(&self) -> Result<(), Error> {
        let octets = self.name().len();
        let limit = self.layer.settings().max_name;
        if octets > limit {
            return Err(Error::NameTooLong { octets, limit });
        }
        Ok(())
    }

    pub(crate) fn check_payload(&self, payload: &Payload) -> Result<(), Error> {
        let octets = payload.len();
        let limit = self.layer.settings().max_message;
        if octets > limit {
            return Err(Error::MessageTooLarge { octets, limit });
        }
        Ok(())
    }
}

/// A subscription that begins when this is awaited: `group.subscribe().await`.
///
/// # Errors
///
/// [`Error::NameTooLong`]; [`Error::SequenceAhead`]; [`Error::WaitUnsupported`]; [`Error::Unreachable`],
/// [`Error::Unconfirmed`] and [`Error::Refused`]; [`Error::Closed`].
#[derive(Clone, Debug)]
#[must_use = "a subscription begins when this is awaited"]
pub struct Subscribe {
    group: Group,
    topic: Topic,
    start: Start,
    slow_consumer: SlowConsumer,
}

impl Subscribe {
    /// Sets what happens when the subscriber is too slow. Default: [`SlowConsumer::DropOldest`].
    pub fn slow_consumer(mut self, policy: SlowConsumer) -> Self {
        self.slow_consumer = policy;
        self
    }

    async fn open(self) -> Result<Subscription, Error> {
        self.group.check_name()?;
        let layer = self.group.layer;
        let backend = layer.backend();
        let waits = self.slow_consumer == SlowConsumer::Wait;
        if waits && !backend.can_wait() {
            return Err(Error::WaitUnsupported {
                backend: backend.name(),
            });
        }
        let mut opened = backend.open(&self.topic, self.start).await?;
        if waits {
            opened.reader.let_publishers_wait();
        }
        Ok(Subscription::new(
            layer,
            self.topic,
            self.slow_consumer,
            self.start,
            opened,
        ))
    }
}

impl IntoFuture for Subscribe {
    type Output = Result<Subscription, Error>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}
