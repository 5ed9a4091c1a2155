//! The numbers of guests: no number is given twice, in all processes.

use callgate_channels::{Error, Group, GroupEvent, Sequence, Subscription};
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
            if self.subscription.is_none() {
                // The store may have lost the claims of guests who are still there.
                let present = room.members().await?;
                let present = present.iter().filter_map(super::room::number);
                self.greatest = present.fold(self.greatest, u64::max);
                let all = group.subscribe_from(Sequence::ZERO).await?;
                self.subscription = Some(all);
            }
            let number = self.greatest + 1;
            let sequence = group.publish(number.to_string()).await?;
            if self.read_to(sequence).await? {
                return Ok(number);
            }
        }
    }

    /// Reads the claims up to that with this number of its event. Returns whether the claim holds.
    async fn read_to(&mut self, sequence: Sequence) -> Result<bool, Error> {
        while let Some(subscription) = &mut self.subscription {
            match subscription.next().await.ok_or(Error::Closed)? {
                GroupEvent::Message(claim) => {
                    let number = claim.payload.as_text().and_then(|text| text.parse().ok());
                    let number = number.unwrap_or_default();
                    let holds = number > self.greatest;
                    self.greatest = self.greatest.max(number);
                    if claim.sequence == sequence {
                        return Ok(holds);
                    }
                }
                // A greater claim may be missing. The newest is in the history.
                GroupEvent::Missed(_) => self.subscription = None,
                _ => {}
            }
        }
        Ok(false)
    }
}
