use futures_util::FutureExt as _;

use super::*;

fn registry() -> Arc<Registry> {
    Arc::default()
}

fn must_close(connections: &[Arc<OpenConnection>]) -> Vec<u64> {
    let mut numbers = Vec::new();
    for connection in connections {
        if connection.must_make_room() {
            numbers.push(connection.id());
        }
    }
    numbers
}

#[test]
fn the_connection_that_has_been_idle_for_the_longest_time_makes_room() {
    let registry = registry();
    let connections: Vec<_> = (0..4).map(|_| registry.add(None)).collect();
    // In this order.
    for (index, state) in [
        (2, ConnectionState::Idle),
        (0, ConnectionState::Idle),
        (1, ConnectionState::Active),
    ] {
        connections[index].record(state, 1);
        drop(registry.add(None));
    }
    assert_eq!(registry.make_room(None), 1);
    assert_eq!(must_close(&connections), [3]);
    assert_eq!(registry.make_room(None), 1);
    assert_eq!(must_close(&connections), [1, 3]);
    // One has an exchange in flight, and the other may be about to send its first request.
    assert_eq!(registry.make_room(None), 0);
}

#[test]
fn a_connection_that_has_begun_an_exchange_since_it_was_asked_to_make_room_ends_it_first() {
    let registry = registry();
    let connection = registry.add(None);
    connection.record(ConnectionState::Idle, 1);
    assert_eq!(registry.make_room(None), 1);
    connection.record(ConnectionState::Active, 2);
    assert!(!connection.must_make_room());
    connection.record(ConnectionState::Idle, 2);
    assert!(connection.must_make_room());
    assert_eq!(connection.room_needed().now_or_never(), Some(()));
}

#[test]
fn the_networks_of_ipv6_count_as_one_client_and_the_addresses_of_ipv4_do_not() {
    let registry = registry();
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    let count = |text| {
        let connection = registry.add(None);
        let is_counted = connection.count_for(address(text), 2);
        is_counted.then_some(connection)
    };
    let first = count("2001:db8::1").unwrap();
    let _second = count("2001:db8::ffff:1").unwrap();
    assert!(count("2001:db8::2").is_none());
    assert!(count("2001:db8:0:1::1").is_some());
    drop(first);
    assert!(count("2001:db8::2").is_some());
    let _first = count("192.0.2.1").unwrap();
    let _second = count("::ffff:192.0.2.1").unwrap();
    assert!(count("192.0.2.1").is_none());
    assert!(count("192.0.2.2").is_some());
}

#[test]
fn a_connection_of_the_same_client_makes_room_for_its_client() {
    let registry = registry();
    let add = |text: &str| {
        let connection = registry.add(None);
        assert!(connection.count_for(text.parse().unwrap(), 1));
        connection.record(ConnectionState::Idle, 1);
        connection
    };
    let connections = [add("192.0.2.1"), add("192.0.2.2")];
    assert_eq!(registry.make_room("192.0.2.2".parse().ok()), 1);
    assert_eq!(must_close(&connections), [2]);
    assert_eq!(registry.make_room("192.0.2.3".parse().ok()), 0);
}

#[test]
fn only_a_connection_that_waits_for_its_next_request_is_idle() {
    let registry = Arc::new(Registry::new(true));
    let connection = registry.add(None);
    assert_eq!(connection.idle(), None);
    connection.record(ConnectionState::Idle, 1);
    assert!(
        connection
            .idle()
            .is_some_and(|idle| idle <= connection.age())
    );
    connection.record(ConnectionState::Active, 2);
    assert_eq!(connection.idle(), None);
}

#[test]
fn a_connection_is_listed_until_it_is_dropped() {
    let registry = registry();
    let peer = "192.0.2.1:1000".parse().ok();
    let connection = registry.add(peer);
    connection.set_client("192.0.2.7:7".parse().unwrap());
    connection.set_protocol(Protocol::Http1);
    connection.record(ConnectionState::Active, 3);
    let open = registry.open();
    let listed = &open[0];
    assert_eq!((listed.id(), listed.peer()), (1, peer));
    assert_eq!(listed.client(), "192.0.2.7:7".parse().ok());
    assert_eq!((listed.protocol(), listed.requests()), (Protocol::Http1, 3));
    assert!(listed.age() < Duration::from_secs(60));
    assert_eq!(listed.idle(), None);
    assert_eq!(registry.count_by_state()[2], (ConnectionState::Active, 1));
    drop(open);
    assert!(registry.ended().now_or_never().is_none());
    drop(connection);
    assert_eq!(registry.len(), 0);
    assert!(registry.ended().now_or_never().is_some());
}
