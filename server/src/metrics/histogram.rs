//! How often values fell into each of a row of ranges.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper ends of the ranges of times, in seconds: from a response out of memory to a long poll.
const UPPER_ENDS: [f64; 15] = [
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// A histogram of times.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// The number of times in each range; the last range has no end.
    counts: [AtomicU64; UPPER_ENDS.len() + 1],
    microseconds: AtomicU64,
}

/// The values of a histogram at one moment.
#[derive(Debug, PartialEq)]
pub(super) struct Snapshot {
    /// The sum of all times, in seconds.
    pub(super) sum: f64,
    pub(super) count: u64,
    /// The upper end of each range, and the number of times in this range alone.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Histogram {
    pub(super) fn add(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let index = UPPER_ENDS.partition_point(|end| *end < seconds);
        self.counts[index].fetch_add(1, Ordering::Relaxed);
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let ends = UPPER_ENDS.into_iter().chain([f64::INFINITY]);
        let counts = self.counts.iter().map(|it| it.load(Ordering::Relaxed));
        let buckets: Vec<_> = ends.zip(counts).collect();
        Snapshot {
            sum: Duration::from_micros(self.microseconds.load(Ordering::Relaxed)).as_secs_f64(),
            count: buckets.iter().map(|(_, count)| count).sum(),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_counts_in_the_first_range_that_it_does_not_exceed() {
        let histogram = Histogram::default();
        for micros in [0, 500, 501, 60_000_000, 60_000_001] {
            histogram.add(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        let counts: Vec<_> = snapshot.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!(snapshot.count, 5);
        assert!((snapshot.sum - 120.001_002).abs() < 1e-9);
        assert!(UPPER_ENDS.is_sorted());
    }
}
