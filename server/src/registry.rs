//! The connections that are open.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use crate::buffers::BufferBudget;
use crate::deadline::Wait;

/// How long a new connection is neither closed to make room for another, nor by a server that drains: its
/// first request is on its way.
const FIRST_REQUEST_GRACE: Duration = Duration::from_secs(1);

/// The fraction of the connections without an exchange that is closed at once to make room.
const CLOSED_AT_ONCE: usize = 64;

/// The connections that are open.
///
/// The order in which connections became idle is measured in connections: the number of those that had
/// been accepted by then. Room is needed when connections are accepted, so this number tells those apart
/// that have been idle for long. An exchange reads the clock for the registry only if there is an admin
/// listener to show the time.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Whether the times of changes are recorded.
    records_times: bool,
    /// The number of connections that have been accepted.
    accepted: AtomicU64,
    table: Mutex<Table>,
    /// Wakes a listener that waits for the end of a connection.
    ended: Notify,
    /// What the connections buffer.
    pub(crate) budget: BufferBudget,
}

#[derive(Debug, Default)]
struct Table {
    open: BTreeMap<u64, Weak<OpenConnection>>,
    /// The number of the connections of each client that is counted.
    clients: HashMap<ClientNetwork, usize>,
}

/// The addresses that count as one client: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ClientNetwork(IpAddr);

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

/// The state of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ConnectionState {
    /// The head of the first request has not been read.
    Handshake,
    /// The connection waits for its next request.
    Idle,
    /// An exchange is in flight, or the head of a further request is being read.
    Active,
    /// The connection is a WebSocket. One over HTTP/2 is an exchange in flight.
    WebSocket,
    /// All has been written. The server waits for the client to close the connection.
    Closing,
}

impl ConnectionState {
    /// All states.
    pub(crate) const ALL: [Self; 5] = [
        Self::Handshake,
        Self::Idle,
        Self::Active,
        Self::WebSocket,
        Self::Closing,
    ];

    /// Returns the name, as the label of a metric.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Idle => "idle",
            Self::Active => "active",
            Self::WebSocket => "websocket",
            Self::Closing => "closing",
        }
    }

    /// Returns whether a connection in this state may be closed to make room.
    fn can_make_room(self) -> bool {
        matches!(self, Self::Handshake | Self::Idle | Self::Closing)
    }
}

impl From<Wait> for ConnectionState {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::FirstRequest | Wait::Head(0) => Self::Handshake,
            Wait::NextRequest(_) | Wait::LastRequest => Self::Idle,
            _ => Self::Active,
        }
    }
}

/// The protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Protocol {
    /// The first octets have not been read.
    Unknown,
    Http1,
    #[cfg(feature = "http2")]
    Http2,
}

impl Protocol {
    /// All protocols, in the order of their numbers.
    const ALL: &[Self] = &[
        Self::Unknown,
        Self::Http1,
        #[cfg(feature = "http2")]
        Self::Http2,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Http1 => "http/1",
            #[cfg(feature = "http2")]
            Self::Http2 => "http/2",
        }
    }
}

/// A connection that is open. It is removed from the registry when it is dropped.
///
/// Only the tasks of the connection write the fields. No other memory is ordered by them.
#[derive(Debug)]
pub(crate) struct OpenConnection {
    registry: Arc<Registry>,
    id: u64,
    peer: Option<SocketAddr>,
    /// The client that the PROXY protocol named.
    client: OnceLock<SocketAddr>,
    /// The client for whom the connection is counted.
    counted: OnceLock<ClientNetwork>,
    accepted: Instant,
    protocol: AtomicU8,
    state: AtomicU8,
    /// The number of requests.
    requests: AtomicU64,
    /// The number of accepted connections at the last change of the state or of the number of requests.
    changed: AtomicU64,
    /// The time of this change in microseconds since the connection was accepted, if times are recorded.
    changed_after: AtomicU64,
    /// The security of the connection, once the handshake of TLS is complete.
    security: OnceLock<ConnectionSecurity>,
    /// Whether the connection is closed as soon as no exchange is in flight.
    must_make_room: AtomicBool,
    /// The octets that are counted in the budget for buffers.
    buffered: AtomicUsize,
    /// The octets that were counted when the connection was asked to release them.
    leaving: AtomicUsize,
    /// Whether the connection is asked to end, because it buffers the most.
    must_release: AtomicBool,
    /// The task of the connection.
    task: AtomicWaker,
}

/// What the admin listener shows of the TLS of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnectionSecurity {
    /// The version of TLS as the number on the wire.
    pub(crate) version: Option<u16>,
    /// The protocol that has been negotiated (ALPN, RFC 7301).
    pub(crate) alpn: Option<&'static str>,
}

impl Registry {
    /// Creates the registry of connections that may buffer so many octets. It records the times of changes if
    /// `records_times` is set.
    pub(crate) fn new(records_times: bool, max_buffered: usize) -> Self {
        Self {
            records_times,
            budget: BufferBudget::new(max_buffered),
            ..Self::default()
        }
    }

    /// Adds a connection of this peer.
    pub(crate) fn add(self: &Arc<Self>, peer: Option<SocketAddr>) -> Arc<OpenConnection> {
        let id = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        let connection = Arc::new(OpenConnection {
            registry: self.clone(),
            id,
            peer,
            client: OnceLock::new(),
            counted: OnceLock::new(),
            accepted: Instant::now(),
            protocol: AtomicU8::new(Protocol::Unknown as u8),
            state: AtomicU8::new(ConnectionState::Handshake as u8),
            requests: AtomicU64::new(0),
            changed: AtomicU64::new(id),
            changed_after: AtomicU64::new(0),
            security: OnceLock::new(),
            must_make_room: AtomicBool::new(false),
            buffered: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
            must_release: AtomicBool::new(false),
            task: AtomicWaker::new(),
        });
        (self.lock().open).insert(id, Arc::downgrade(&connection));
        connection
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of the connections that have been accepted.
    #[cfg(feature = "metrics")]
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Returns the number of the connections that are open.
    pub(crate) fn len(&self) -> usize {
        self.lock().open.len()
    }

    /// Returns the connections that are open, in the order in which they were accepted.
    pub(crate) fn open(&self) -> Vec<Arc<OpenConnection>> {
        // The last owner of a connection locks the table, so the connections leave the lock.
        (self.lock().open.values())
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Returns the number of the connections in each state.
    #[cfg(any(test, feature = "metrics"))]
    pub(crate) fn count_by_state(&self) -> [(ConnectionState, usize); ConnectionState::ALL.len()] {
        let mut counts = ConnectionState::ALL.map(|state| (state, 0));
        for connection in self.open() {
            counts[connection.state() as usize].1 += 1;
        }
        counts
    }

    /// Closes some of the connections without an exchange in flight to make room: those that have been idle
    /// for the longest time. With `client`, closes one connection of this client. Returns the number of
    /// connections that are about to be closed.
    pub(crate) fn make_room(&self, client: Option<IpAddr>) -> usize {
        let network = client.map(ClientNetwork::from);
        let mut open = self.open();
        open.retain(|connection| {
            connection.can_make_room()
                && network.is_none_or(|network| connection.counted.get() == Some(&network))
        });
        let most = match network {
            Some(_) => 1,
            None => open.len().div_ceil(CLOSED_AT_ONCE),
        };
        open.sort_unstable_by_key(|connection| {
            (connection.changed.load(Ordering::Relaxed), connection.id)
        });
        open.truncate(most);
        for connection in &open {
            connection.must_make_room.store(true, Ordering::Release);
            connection.task.wake();
        }
        open.len()
    }

    /// Asks the connections that buffer the most to end, until the budget suffices.
    #[cold]
    fn release_buffers(&self) {
        let mut open = self.open();
        open.sort_by_cached_key(|connection| connection.buffered.load(Ordering::Relaxed));
        while self.budget.is_exceeded()
            && let Some(largest) = open.pop()
        {
            let octets = largest.buffered.load(Ordering::Relaxed);
            let asked =
                largest
                    .leaving
                    .compare_exchange(0, octets, Ordering::Relaxed, Ordering::Relaxed);
            // A connection is asked once.
            if octets > 0 && asked.is_ok() {
                self.budget.leaves(octets);
                largest.must_release.store(true, Ordering::Release);
                largest.task.wake();
            }
        }
    }

    /// Waits for the end of a connection. Completes at once if one has ended since the last call.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }
}

impl OpenConnection {
    /// Counts the connection for its client. Returns false if the client has `most` connections already.
    pub(crate) fn count_for(&self, client: IpAddr, most: usize) -> bool {
        let network = ClientNetwork::from(client);
        let mut table = self.registry.lock();
        let count = table.clients.entry(network).or_default();
        if *count >= most || self.counted.set(network).is_err() {
            return false;
        }
        *count += 1;
        true
    }

    /// Records that an owner of buffers has so many octets counted, where it had `before`.
    pub(crate) fn buffered(&self, before: usize, now: usize) {
        let budget = &self.registry.budget;
        if now < before {
            self.buffered.fetch_sub(before - now, Ordering::Relaxed);
            budget.remove(before - now);
            return;
        }
        self.buffered.fetch_add(now - before, Ordering::Relaxed);
        budget.add(now - before);
        if budget.is_exceeded() {
            self.registry.release_buffers();
        }
    }

    /// Returns whether the connection must end, because it buffers the most. Returns true once.
    #[inline]
    pub(crate) fn must_release(&self) -> bool {
        self.must_release.load(Ordering::Relaxed) && self.must_release.swap(false, Ordering::AcqRel)
    }

    /// Sets the client that the PROXY protocol named.
    pub(crate) fn set_client(&self, client: SocketAddr) {
        // A connection has one header of the PROXY protocol.
        let _ = self.client.set(client);
    }

    /// Sets the security of the connection.
    #[cfg(feature = "tls")]
    pub(crate) fn set_security(&self, security: ConnectionSecurity) {
        // A connection has one handshake.
        let _ = self.security.set(security);
    }

    pub(crate) fn set_protocol(&self, protocol: Protocol) {
        self.protocol.store(protocol as u8, Ordering::Relaxed);
    }

    /// Registers the present task as that of the connection, which is woken when it must make room or release
    /// its buffers.
    pub(crate) fn register(&self) -> impl Future<Output = ()> {
        poll_fn(|cx| {
            self.register_task(cx);
            Poll::Ready(())
        })
    }

    /// Registers the task of this context as that of the connection.
    pub(crate) fn register_task(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    /// Records the state and the number of requests.
    #[inline]
    pub(crate) fn record(&self, state: ConnectionState, requests: u64) {
        if self.requests.load(Ordering::Relaxed) != requests
            || self.state.load(Ordering::Relaxed) != state as u8
        {
            self.requests.store(requests, Ordering::Relaxed);
            self.set_state(state);
        }
    }

    /// Records the state.
    pub(crate) fn set_state(&self, state: ConnectionState) {
        self.state.store(state as u8, Ordering::Relaxed);
        let now = self.registry.accepted.load(Ordering::Relaxed);
        self.changed.store(now, Ordering::Relaxed);
        if self.registry.records_times {
            let after = u64::try_from(self.age().as_micros()).unwrap_or(u64::MAX);
            self.changed_after.store(after, Ordering::Relaxed);
        }
    }

    /// Returns whether the connection must be closed now, because others need room and no exchange is in
    /// flight.
    #[inline]
    pub(crate) fn must_make_room(&self) -> bool {
        self.must_make_room.load(Ordering::Acquire) && self.state().can_make_room()
    }

    /// Waits until the connection must be closed. Only the task that is registered is woken.
    pub(crate) fn room_needed(&self) -> impl Future<Output = ()> {
        poll_fn(|_| match self.must_make_room() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
    }

    /// Returns the time that is left for the first request to arrive.
    pub(crate) fn grace(&self) -> Duration {
        FIRST_REQUEST_GRACE.saturating_sub(self.age())
    }

    fn can_make_room(&self) -> bool {
        let is_new = self.requests() == 0 && !self.grace().is_zero();
        !is_new && self.state().can_make_room() && !self.must_make_room.load(Ordering::Relaxed)
    }

    pub(crate) fn state(&self) -> ConnectionState {
        ConnectionState::ALL[usize::from(self.state.load(Ordering::Relaxed))]
    }

    /// Returns the number of requests whose head has been read.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

/// What the admin listener shows of a connection.
impl OpenConnection {
    /// Returns the number of the connection. The first connection is 1.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Returns the address of the peer; `None` for a Unix socket.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Returns the address of the client: that of the PROXY protocol, or the peer's.
    pub(crate) fn client(&self) -> Option<SocketAddr> {
        self.client.get().copied().or(self.peer)
    }

    /// Returns how long the connection has been open.
    pub(crate) fn age(&self) -> Duration {
        self.accepted.elapsed()
    }

    /// Returns how long the connection has waited for its next request; `None` if it does not wait for one,
    /// or if no times are recorded.
    pub(crate) fn idle(&self) -> Option<Duration> {
        let since = Duration::from_micros(self.changed_after.load(Ordering::Relaxed));
        let is_known = self.registry.records_times && self.state() == ConnectionState::Idle;
        is_known.then(|| self.age().saturating_sub(since))
    }

    /// Returns the security of the connection; `None` in cleartext, and before the handshake is complete.
    pub(crate) fn security(&self) -> Option<ConnectionSecurity> {
        self.security.get().copied()
    }

    pub(crate) fn protocol(&self) -> Protocol {
        Protocol::ALL[usize::from(self.protocol.load(Ordering::Relaxed))]
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut table = self.registry.lock();
        table.open.remove(&self.id);
        if let Some(network) = self.counted.get()
            && let Some(count) = table.clients.get_mut(network)
        {
            *count -= 1;
            if *count == 0 {
                table.clients.remove(network);
            }
        }
        drop(table);
        (self.registry.budget).left(self.leaving.load(Ordering::Relaxed));
        self.registry.ended.notify_one();
    }
}
