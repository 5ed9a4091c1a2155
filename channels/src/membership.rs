//! The presence of a member.

use std::sync::atomic::Ordering;

use crate::{Error, Group, Member, MemberId, Payload, Subscription};

/// The presence of one member in a group, from [`Group::join`] until this is dropped, the layer is closed, or
/// the process is dead.
///
/// ```
/// # use callgate_channels::ChannelLayer;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), callgate_channels::Error> {
/// # let layer = ChannelLayer::memory();
/// let room = layer.group("room:7");
/// let mut ada = room.join("Ada").await?;
/// assert_eq!(room.member_count().await?, 1);
///
/// room.send_to(ada.id(), "only for Ada").await?;
/// let message = ada.inbox().next().await.unwrap().into_message().unwrap();
/// assert_eq!(message.payload.as_text(), Some("only for Ada"));
///
/// ada.leave().await?;
/// assert_eq!(room.member_count().await?, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a member leaves when its membership is dropped"]
pub struct Membership {
    group: Group,
    member: Member,
    inbox: Subscription,
    has_left: bool,
}

impl Group {
    /// Joins the group as a new member, with the data that the list of members shows. The member leaves
    /// when the [`Membership`] is dropped.
    ///
    /// # Errors
    ///
    /// As for [`publish`](Self::publish). A join that is not confirmed is taken back.
    pub async fn join(&self, data: impl Into<Payload>) -> Result<Membership, Error> {
        self.check_name()?;
        let data = data.into();
        self.check_payload(&data)?;
        let id = self.layer().new_member_id();
        // The inbox is open before others see the member.
        let inbox = self.subscribe_to_inbox(&id).await?;
        let member = Member { id, data };
        // The membership exists before the store knows of it: dropping it takes a join back.
        let membership = Membership::new(self.clone(), member.clone(), inbox);
        self.layer().backend().join(self.topic(), member).await?;
        Ok(membership)
    }
}

impl Membership {
    fn new(group: Group, member: Member, inbox: Subscription) -> Self {
        let counters = group.layer().counters();
        counters.members.fetch_add(1, Ordering::Relaxed);
        Self {
            group,
            member,
            inbox,
            has_left: false,
        }
    }

    /// Returns the ID, to which [`Group::send_to`] sends.
    #[must_use]
    pub fn id(&self) -> &MemberId {
        &self.member.id
    }

    /// Returns the member.
    #[must_use]
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// Returns the group.
    #[must_use]
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Returns the subscription to the messages that are sent to this member.
    #[must_use]
    pub fn inbox(&mut self) -> &mut Subscription {
        &mut self.inbox
    }

    /// Leaves the group, and returns once the store knows. Dropping the membership leaves in the background.
    ///
    /// # Errors
    ///
    /// As for [`Group::publish`]. The member leaves in the background then.
    pub async fn leave(mut self) -> Result<(), Error> {
        let backend = self.group.layer().backend();
        let result = backend.leave(self.group.topic(), &self.member.id).await;
        self.has_left = true;
        result
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let layer = self.group.layer();
        if !self.has_left {
            let backend = layer.backend();
            backend.leave_in_background(self.group.topic(), &self.member.id);
        }
        layer.counters().members.fetch_sub(1, Ordering::Relaxed);
    }
}
