//! What goes wrong with the Redis.

use std::io;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::redis::Redis;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) kills: u64,
    pub(super) pauses: u64,
    pub(super) cuts: u64,
}

/// Lets the Redis fail at random, and serve at the end.
pub(super) async fn fail(redis: &Redis, mut random: StdRng, end: Instant) -> io::Result<Faults> {
    let mut faults = Faults::default();
    loop {
        sleep(Duration::from_millis(random.random_range(500..3000))).await;
        if Instant::now() >= end {
            return Ok(faults);
        }
        match random.random_range(0..3) {
            0 => {
                redis.kill().await?;
                sleep(Duration::from_millis(random.random_range(0..2000))).await;
                redis.restart().await?;
                faults.kills += 1;
            }
            1 => {
                redis.signal(Signal::STOP)?;
                sleep(Duration::from_millis(random.random_range(100..5000))).await;
                redis.signal(Signal::CONT)?;
                faults.pauses += 1;
            }
            _ => {
                for id in redis.connections().await? {
                    if random.random_range(0..2) == 0 {
                        redis.ask(&["CLIENT", "KILL", "ID", &id]).await?;
                    }
                }
                faults.cuts += 1;
            }
        }
    }
}
