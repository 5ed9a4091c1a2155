//! The numbers of guests: no number is given twice, in all processes.

use callgate_channels::{Error, Group, GroupEvent, Sequence, Subscription};
use futures_util::FutureExt as _;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// Gives numbers, by claims that all processes see in the same order.
///
/// A process claims a number by a message to a group. The claim holds if the number is greater than those of all
/// claims before it. Otherwise the process claims a greater one. The numbers begin with 1 again when the group is
/// forgotten: some minutes after the last process has ended.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    claims: Mutex<Claims>,
}

/// The claims that this process has seen.
#[derive(Debug, Default)]
struct Claims {
    subscription: Option<Subscription>,
    greatest: u64,
}

impl Numbers {
    /// Returns a number for a guest of this room.
    pub(super) async fn next(&self, room: &Group) -> Result<u64, Error> {
        // While the layer cannot be reached, the guests who wait for each other fail together.
        let limit = 2 * room.layer().settings().timeout;
        let claimed = timeout(limit, async { self.claims.lock().await.claim(room).await });
        claimed.await.unwrap_or_else(|_| {
            Err(Error::Unconfirmed {
                target: room.layer().backend_name().to_owned(),
                reason: format!("there was no number for a guest after {limit:?}"),
            })
        })
    }
}

impl Claims {
    async fn claim(&mut self, room: &Group) -> Result<u64, Error> {
        let group = room.layer().group(&format!("{}:numbers", room.name()));
        loop {
            self.read_ready();
            if self.subscription.is_none() {
                // The store may have lost the claims of guests who are still there.
                let present = room.members().await?;
                let present = present.iter().filter_map(super::room::number);
                self.greatest = present.fold(self.greatest, u64::max);
                let all = group.subscribe_from(Sequence::ZERO).await?;
                self.subscription = Some(all);
                self.read_ready();
            }
            let number = self.greatest + 1;
            let sequence = group.publish(number.to_string()).await?;
            if self.read_to(sequence).await {
                return Ok(number);
            }
        }
    }

    /// Reads the claims that have arrived.
    fn read_ready(&mut self) {
        while let Some(subscription) = &mut self.subscription
            && let Some(event) = subscription.next().now_or_never()
        {
            self.read(event);
        }
    }

    /// Reads the claims up to that with this number of its event. Returns whether the claim holds.
    async fn read_to(&mut self, sequence: Sequence) -> bool {
        while let Some(subscription) = &mut self.subscription {
            let event = subscription.next().await;
            let is_own = event.as_ref().map(GroupEvent::sequence) == Some(sequence);
            let holds = self.read(event);
            if is_own {
                return holds;
            }
        }
        false
    }

    /// Reads an event. Returns whether it is a claim that holds.
    fn read(&mut self, event: Option<GroupEvent>) -> bool {
        match event {
            Some(GroupEvent::Message(claim)) => {
                let number = claim.payload.as_text().and_then(|text| text.parse().ok());
                let number = number.unwrap_or_default();
                let holds = number > self.greatest;
                self.greatest = self.greatest.max(number);
                holds
            }
            // A greater claim may be missing. The newest is in the history. A subscription ends with its layer, and
            // the application may have been started again with another.
            Some(GroupEvent::Missed(_)) | None => {
                self.subscription = None;
                false
            }
            Some(_) => false,
        }
    }
}
