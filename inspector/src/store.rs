//! The exchanges that are kept, within their bounds.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use crate::bounds::Bounds;
use crate::exchange::{Entry, Exchange, Summary};
use crate::subject::Subject;

/// The exchanges that are kept, the oldest first.
#[derive(Debug)]
pub(crate) struct Store {
    bounds: Bounds,
    exchanges: VecDeque<KeptExchange>,
    /// The octets of all exchanges.
    octets: usize,
    /// The number of the last exchange.
    last_number: u64,
    /// The number of changes so far.
    version: u64,
    /// The number of the last exchange before the last [`clear`](Self::clear).
    cleared_to: u64,
}

#[derive(Debug)]
struct KeptExchange {
    summary: Summary,
    /// The application, for a replay.
    subject: Weak<Subject>,
    /// The version of the last change.
    changed: u64,
    /// The first entries.
    beginning: Vec<Arc<Entry>>,
    /// The latest entries, after those that were left out.
    latest: VecDeque<Arc<Entry>>,
    beginning_octets: usize,
    latest_octets: usize,
    left_out: u64,
}

/// What has changed since a version.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) summaries: Vec<Summary>,
    pub(crate) version: u64,
    pub(crate) last_number: u64,
    pub(crate) cleared_to: u64,
}

impl Store {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            exchanges: VecDeque::new(),
            octets: 0,
            last_number: 0,
            version: 0,
            cleared_to: 0,
        }
    }

    pub(crate) fn last_number(&self) -> u64 {
        self.last_number
    }

    pub(crate) fn cleared_to(&self) -> u64 {
        self.cleared_to
    }

    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Adds an exchange, whose summary gets its number, which is returned.
    pub(crate) fn begin(&mut self, mut summary: Summary, subject: Weak<Subject>) -> u64 {
        self.last_number += 1;
        self.version += 1;
        summary.number = self.last_number;
        self.exchanges.push_back(KeptExchange {
            summary,
            subject,
            changed: self.version,
            beginning: Vec::new(),
            latest: VecDeque::new(),
            beginning_octets: 0,
            latest_octets: 0,
            left_out: 0,
        });
        self.evict();
        self.last_number
    }

    /// Adds an entry to an exchange and changes its summary, if the exchange is kept.
    pub(crate) fn add(&mut self, number: u64, entry: Entry, update: impl FnOnce(&mut Summary)) {
        let Some(index) = self.index_of(number) else {
            return;
        };
        self.version += 1;
        let exchange = &mut self.exchanges[index];
        exchange.changed = self.version;
        update(&mut exchange.summary);
        let octets_before = exchange.octets();
        exchange.push(entry, self.bounds.exchange / 2);
        self.octets = self.octets - octets_before + exchange.octets();
        self.evict();
    }

    /// Forgets all exchanges.
    pub(crate) fn clear(&mut self) {
        self.exchanges.clear();
        self.octets = 0;
        self.version += 1;
        self.cleared_to = self.last_number;
    }

    pub(crate) fn exchange(&self, number: u64) -> Option<Exchange> {
        let kept = &self.exchanges[self.index_of(number)?];
        Some(Exchange {
            summary: kept.summary.clone(),
            entries: kept.beginning.iter().chain(&kept.latest).cloned().collect(),
            left_out: kept.left_out,
            left_out_after: kept.beginning.len(),
        })
    }

    /// Returns the application of an exchange, if it still exists.
    pub(crate) fn subject(&self, number: u64) -> Option<Arc<Subject>> {
        self.exchanges[self.index_of(number)?].subject.upgrade()
    }

    /// Returns the summaries that have changed after `version`.
    pub(crate) fn changed_after(&self, version: u64) -> Changed {
        let changed = self.exchanges.iter().filter(|it| it.changed > version);
        Changed {
            summaries: changed.map(|it| it.summary.clone()).collect(),
            version: self.version,
            last_number: self.last_number,
            cleared_to: self.cleared_to,
        }
    }

    /// Returns how many exchanges with a number above `number` are kept.
    pub(crate) fn count_after(&self, number: u64) -> u64 {
        let after = self.exchanges.len()
            - self
                .exchanges
                .partition_point(|it| it.summary.number <= number);
        after as u64
    }

    fn index_of(&self, number: u64) -> Option<usize> {
        self.exchanges
            .binary_search_by_key(&number, |it| it.summary.number)
            .ok()
    }

    /// Forgets the oldest exchanges that have ended, or else the oldest, until the bounds are met.
    fn evict(&mut self) {
        while self.exchanges.len() > self.bounds.exchanges.max(1)
            || (self.octets > self.bounds.total && self.exchanges.len() > 1)
        {
            let ended = self
                .exchanges
                .iter()
                .position(|it| it.summary.end.is_some());
            if let Some(evicted) = self.exchanges.remove(ended.unwrap_or(0)) {
                self.octets -= evicted.octets();
            }
        }
    }
}

impl KeptExchange {
    fn octets(&self) -> usize {
        self.beginning_octets + self.latest_octets
    }

    /// Adds an entry. The beginning and the latest entries each take at most `limit` octets, but for one entry.
    fn push(&mut self, entry: Entry, limit: usize) {
        let weight = entry.weight();
        let entry = Arc::new(entry);
        let is_first = self.beginning.is_empty();
        let fits =
            self.latest.is_empty() && self.left_out == 0 && self.beginning_octets + weight <= limit;
        if is_first || fits {
            self.beginning.push(entry);
            self.beginning_octets += weight;
            return;
        }
        self.latest.push_back(entry);
        self.latest_octets += weight;
        while self.latest_octets > limit && self.latest.len() > 1 {
            if let Some(oldest) = self.latest.pop_front() {
                self.latest_octets -= oldest.weight();
                self.left_out += 1;
            }
        }
    }
}
