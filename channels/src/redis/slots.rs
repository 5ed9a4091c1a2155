//! The slots of a cluster, and the nodes that have them.

use redis::{ConnectionInfo, ErrorKind, RedisError, Value};

use super::address::at;
use super::connection::Session;

/// The number of slots.
const SLOTS: u16 = 16384;

/// Slots up to and with `last` that a node has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Range {
    pub(super) last: u16,
    pub(super) host: String,
    pub(super) port: u16,
}

/// Returns the slot of a key: of the part in the first braces, if there is one.
pub(super) fn slot_of(key: &str) -> u16 {
    let tag = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let hashed = tag.map_or(key, |(tag, _)| if tag.is_empty() { key } else { tag });
    // CRC-16/XMODEM.
    let sum = hashed.bytes().fold(0_u16, |sum, byte| {
        (0..8).fold(sum ^ u16::from(byte) << 8, |sum, _| {
            sum << 1 ^ if sum & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    sum % SLOTS
}

/// What a node knows of the cluster.
#[derive(Debug)]
pub(super) struct View {
    /// The primaries and their slots, in the order of the slots.
    pub(super) ranges: Vec<Range>,
    /// Whether the node sees the most primaries, and all slots if it has to.
    pub(super) is_ok: bool,
}

/// Asks a node for what it knows.
pub(super) async fn ask(session: &Session) -> Result<View, RedisError> {
    let mut connection = session.commands.clone();
    let (info, ranges): (String, Vec<Vec<Value>>) = redis::pipe()
        .cmd("CLUSTER")
        .arg("INFO")
        .cmd("CLUSTER")
        .arg("SLOTS")
        .query_async(&mut connection)
        .await?;
    let asked = session.server.host();
    let mut ranges: Vec<_> = ranges
        .into_iter()
        .filter_map(|range| read(&range, asked))
        .collect();
    if ranges.is_empty() {
        return Err((ErrorKind::Client, "", "it knows of no slots".to_owned()).into());
    }
    ranges.sort_by_key(|range| range.last);
    Ok(View {
        ranges,
        is_ok: info.contains("cluster_state:ok"),
    })
}

/// Reads a range: first slot, last slot, primary, replicas. The node that was asked, at the host `asked`, may leave its
/// own name empty.
fn read(range: &[Value], asked: &str) -> Option<Range> {
    let [_, Value::Int(last), Value::Array(primary), ..] = range else {
        return None;
    };
    let [host, Value::Int(port), ..] = &primary[..] else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) if !host.is_empty() => std::str::from_utf8(host).ok()?,
        _ => asked,
    };
    Some(Range {
        last: u16::try_from(*last).ok()?,
        host: host.to_owned(),
        port: u16::try_from(*port).ok()?,
    })
}

impl Range {
    /// Returns how to connect to the node, in the way of `info`.
    pub(super) fn info(&self, info: &ConnectionInfo) -> ConnectionInfo {
        at(info, self.host.clone(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // As `CLUSTER KEYSLOT` has them.
        let slots = [
            ("123456789", 12739),
            ("foo", 12182),
            ("{foo}:m:1", 12182),
            ("foo{}{bar}", 8363),
            ("{}", 15257),
            ("{a}b}", 15495),
        ];
        for (key, slot) in slots {
            assert_eq!(slot_of(key), slot, "{key}");
        }
    }
}
