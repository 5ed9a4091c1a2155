//! The keys of a topic.

use crate::backend::Topic;

/// The keys of a topic, which are in one slot of a cluster. The stream is the channel as well.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) stream: String,
    pub(super) processes: String,
    pub(super) members: String,
}

impl Keys {
    pub(super) fn new(namespace: &str, topic: &Topic) -> Self {
        let group = format!("{{{namespace}:{}}}", topic.group_name());
        Self {
            stream: match topic.member() {
                Some(member) => format!("{group}:m:{member}"),
                None => group.clone(),
            },
            processes: format!("{group}:p"),
            members: format!("{group}:h"),
        }
    }
}
