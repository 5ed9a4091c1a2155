//! A cluster, whose nodes fail and whose slots move.

use std::collections::HashSet;
use std::time::Duration;

use callgate_channels::suite::checker::{Observed, Published};
use callgate_channels::{ChannelLayer, GroupEvent, Health};

use crate::harness::RedisHarness;
use crate::load::{Load, settings};
use crate::sentinel::wait;
use crate::server::{RedisServer, free_port};

const PASSWORD: &str = "of-the-cluster";
const SLOTS: usize = 16384;
const PRIMARIES: usize = 3;

/// Three primaries, with a third of the slots each, and perhaps a replica of the first.
#[derive(Debug)]
struct Cluster {
    nodes: Vec<RedisServer>,
    ports: Vec<u16>,
}

impl Cluster {
    async fn start(replicas: usize) -> Self {
        let (mut nodes, mut ports, mut buses) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PRIMARIES + replicas {
            let (port, bus) = (free_port(), free_port().to_string());
            let arguments = [
                ["--cluster-enabled", "yes"],
                ["--cluster-port", &bus],
                ["--cluster-node-timeout", "500"],
                ["--cluster-require-full-coverage", "no"],
                ["--masterauth", PASSWORD],
                ["--repl-diskless-sync-delay", "0"],
            ];
            nodes.push(RedisServer::start_on(port, PASSWORD, arguments.as_flattened()).await);
            ports.push(port);
            buses.push(bus);
        }
        for (index, node) in nodes.iter().enumerate() {
            let epoch = (index + 1).to_string();
            node.command::<()>(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch])
                .await;
            if index < PRIMARIES {
                let first = (SLOTS * index / PRIMARIES).to_string();
                let last = (SLOTS * (index + 1) / PRIMARIES - 1).to_string();
                node.command::<()>(&["CLUSTER", "ADDSLOTSRANGE", &first, &last])
                    .await;
            }
            if index > 0 {
                let (port, bus) = (ports[0].to_string(), &buses[0]);
                node.command::<()>(&["CLUSTER", "MEET", "127.0.0.1", &port, bus])
                    .await;
            }
        }
        let cluster = Self { nodes, ports };
        let count = format!("cluster_known_nodes:{}\r", PRIMARIES + replicas);
        cluster
            .all_say(&[
                "cluster_state:ok\r",
                "cluster_slots_assigned:16384\r",
                &count,
            ])
            .await;
        for replica in &cluster.nodes[PRIMARIES..] {
            let first = cluster.id(0).await;
            replica
                .command::<()>(&["CLUSTER", "REPLICATE", &first])
                .await;
            wait("the replica is in step", async || {
                let info: String = replica.command(&["INFO", "replication"]).await;
                info.contains("master_link_status:up")
            })
            .await;
        }
        cluster
    }

    /// Waits until each node says all of this of the cluster.
    async fn all_say(&self, said: &[&str]) {
        for node in &self.nodes {
            wait("the nodes know each other", async || {
                let info: String = node.command(&["CLUSTER", "INFO"]).await;
                said.iter().all(|said| info.contains(said))
            })
            .await;
        }
    }

    async fn id(&self, index: usize) -> String {
        self.nodes[index].command(&["CLUSTER", "MYID"]).await
    }

    /// The first node is not reached.
    fn url(&self) -> String {
        format!(
            "redis+cluster://:{PASSWORD}@127.0.0.1:1,127.0.0.1:{}",
            self.ports[1]
        )
    }

    /// Returns the slot of a group.
    async fn slot(&self, group: &str) -> usize {
        let key = format!("{{callgate:{group}}}");
        self.nodes[0].command(&["CLUSTER", "KEYSLOT", &key]).await
    }

    /// Returns the index of the node that has a slot at first.
    fn owner(slot: usize) -> usize {
        (0..PRIMARIES)
            .find(|index| slot < SLOTS * (index + 1) / PRIMARIES)
            .expect("a slot of the cluster")
    }

    /// Moves a slot with its keys to another node.
    async fn move_slot(&self, slot: usize, to: usize) {
        self.move_keys(slot, to).await;
        self.give_slot(slot, to).await;
    }

    /// Moves the keys of a slot to another node, which does not have the slot yet.
    async fn move_keys(&self, slot: usize, to: usize) {
        let from = Self::owner(slot);
        let (source, target) = (&self.nodes[from], &self.nodes[to]);
        let states = [
            (target, "IMPORTING", self.id(from).await),
            (source, "MIGRATING", self.id(to).await),
        ];
        let (slot, port) = (slot.to_string(), self.ports[to].to_string());
        for (node, state, other) in &states {
            let words = ["CLUSTER", "SETSLOT", &slot, state, other];
            node.command::<()>(&words).await;
        }
        loop {
            let listed = ["CLUSTER", "GETKEYSINSLOT", &slot, "100"];
            let keys: Vec<String> = source.command(&listed).await;
            if keys.is_empty() {
                return;
            }
            let to = ["MIGRATE", "127.0.0.1", &port, "", "0", "5000"];
            let with = ["AUTH", PASSWORD, "KEYS"];
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let words = [&to[..], &with, &keys].concat();
            source.command::<String>(&words).await;
        }
    }

    /// Gives a slot, whose keys were moved, to another node.
    async fn give_slot(&self, slot: usize, to: usize) {
        let owner = Self::owner(slot);
        let (slot, id) = (slot.to_string(), self.id(to).await);
        for node in [to, owner] {
            let words = ["CLUSTER", "SETSLOT", &slot, "NODE", &id];
            self.nodes[node].command::<()>(&words).await;
        }
    }
}

#[tokio::test]
async fn the_rules_hold_with_a_cluster() {
    let cluster = Cluster::start(0).await;
    callgate_channels::suite_run!(RedisHarness::at(&cluster.url()));
}

#[tokio::test]
async fn a_node_that_is_killed_loses_nothing_in_silence() {
    let mut cluster = Cluster::start(1).await;
    let load = Load::start(&cluster.url()).await;
    load.published(20).await;
    cluster.nodes[0].kill();
    let replica = &cluster.nodes[PRIMARIES];
    wait("the replica takes over", async || {
        let info: String = replica.command(&["INFO", "replication"]).await;
        info.contains("role:master")
    })
    .await;
    load.published(20).await;
    let outcome = load.end().await;
    assert!(outcome.yielded > outcome.published, "{outcome:?}");
}

#[tokio::test]
async fn slots_that_move_lose_nothing_in_silence() {
    let cluster = Cluster::start(0).await;
    let load = Load::start(&cluster.url()).await;
    load.published(20).await;
    let mut owners = HashSet::new();
    for index in 0..4 {
        let group = format!("group-{index}");
        let slot = cluster.slot(&group).await;
        let owner = Cluster::owner(slot);
        owners.insert(owner);
        let target = (owner + 1) % PRIMARIES;
        let here = load.layers[0].group(&group);
        let ada = here.join("Ada").await.expect("joined");
        cluster.move_slot(slot, target).await;
        let elsewhere = load.layers[1].group(&group);
        let members = elsewhere.members().await;
        assert_eq!(members.as_deref(), Ok(std::slice::from_ref(ada.member())));
        ada.leave().await.expect("left");
        assert_eq!(elsewhere.member_count().await, Ok(0));
        let target = &cluster.nodes[target];
        wait("the processes are subscribed there", async || {
            let words = ["PUBSUB", "SHARDNUMSUB", &format!("{{callgate:{group}}}")];
            let (_, subscribed): (String, usize) = target.command(&words).await;
            subscribed == load.layers.len()
        })
        .await;
        load.published(20).await;
    }
    assert!(owners.len() > 1, "the groups are on several nodes");
    let outcome = load.end().await;
    assert!(outcome.yielded > outcome.published, "{outcome:?}");
}

#[tokio::test]
async fn an_operation_waits_for_a_slot_that_is_on_its_way() {
    let cluster = Cluster::start(0).await;
    let settings = settings().timeout(Duration::from_secs(20));
    let layer = ChannelLayer::connect_with(&cluster.url(), settings).await;
    let group = layer.expect("connected").group("g");
    let mut subscription = group.subscribe().await.expect("subscribed");
    let slot = cluster.slot("g").await;
    let target = (Cluster::owner(slot) + 1) % PRIMARIES;
    cluster.move_keys(slot, target).await;
    let give = async {
        // The operations are called at least once before.
        tokio::task::yield_now().await;
        cluster.give_slot(slot, target).await;
    };
    let (published, joined, ()) = tokio::join!(group.publish("x"), group.join("Ada"), give);
    let _ada = joined.expect("joined");
    let number = published.expect("published");
    while subscription.next().await.expect("an event").sequence() < number {}
}

#[tokio::test]
async fn ch_29_what_is_no_cluster_is_an_error() {
    let port = free_port();
    let url = format!("redis+cluster://:{PASSWORD}@127.0.0.1:{port}");
    let reasons = [
        ("no", "ERR This instance has cluster support disabled"),
        ("yes", "it knows of no slots"),
    ];
    for (is_enabled, reason) in reasons {
        let bus = free_port().to_string();
        let arguments = ["--cluster-enabled", is_enabled, "--cluster-port", &bus];
        let _server = RedisServer::start_on(port, PASSWORD, &arguments).await;
        let error = ChannelLayer::connect_with(&url, settings()).await.map(drop);
        let message = error.expect_err("no cluster").to_string();
        let expected = format!("cannot reach redis at 127.0.0.1:{port}: {reason}");
        assert_eq!(message, expected);
    }
}

#[tokio::test]
async fn ch_29_a_node_that_is_not_reached_is_named_and_the_groups_of_others_go_on() {
    let mut cluster = Cluster::start(0).await;
    let layer = ChannelLayer::connect_with(&cluster.url(), settings()).await;
    let layer = layer.expect("connected");
    let mut groups: Vec<Option<_>> = vec![None; PRIMARIES];
    for index in 0..50 {
        let name = index.to_string();
        let owner = Cluster::owner(cluster.slot(&name).await);
        groups[owner] = Some(layer.group(&name));
    }
    let groups: Vec<_> = groups
        .into_iter()
        .map(|group| group.expect("a group"))
        .collect();
    let mut subscriptions = Vec::new();
    for group in &groups {
        let subscription = group.subscribe().await.expect("subscribed");
        let start = subscription.sequence();
        subscriptions.push((subscription, Published::new(), start));
    }
    cluster.nodes[2].kill();
    let port = cluster.ports[2].to_string();
    crate::load::wait("the outage is known", || !layer.health().is_ready()).await;
    let Health::Unreachable { reason, .. } = layer.health() else {
        panic!("a node is not reached");
    };
    assert!(reason.contains(&port), "{reason}");
    for other in &cluster.ports[..2] {
        assert!(!reason.contains(&other.to_string()), "{reason}");
    }
    let error = groups[2].publish("x").await.expect_err("no node");
    assert!(error.to_string().contains(&port), "{error}");
    for (group, (_, published, _)) in groups.iter().zip(&mut subscriptions).take(2) {
        let number = group.publish("x").await.expect("published");
        published.confirm(number, "x".into());
    }
    cluster.nodes[2].restart().await;
    crate::load::wait("the node is reached", || layer.health().is_ready()).await;
    for (group, (subscription, published, start)) in groups.iter().zip(&mut subscriptions) {
        let number = group.publish("end").await.expect("published");
        published.confirm(number, "end".into());
        let mut events: Vec<GroupEvent> = Vec::new();
        while events.last().is_none_or(|event| event.sequence() < number) {
            events.push(subscription.next().await.expect("an event"));
        }
        let start = *start;
        let checked = published.check(&Observed { start, events });
        checked.expect("each message or a gap");
    }
}
