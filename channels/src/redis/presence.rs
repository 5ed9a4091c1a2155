//! The members of this process.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use tokio::sync::Notify;

use crate::backend::Topic;
use crate::sync::lock;
use crate::{Member, MemberId, Payload};

/// The members of this process, and those that have left of which Redis does not know yet.
#[derive(Debug, Default)]
pub(super) struct Presence {
    state: Mutex<State>,
    /// Is notified when a member has left in the background.
    pub(super) leaving: Notify,
}

#[derive(Debug, Default)]
struct State {
    members: HashMap<Topic, HashMap<MemberId, Payload>>,
    leaving: HashSet<(Topic, MemberId)>,
}

impl Presence {
    pub(super) fn add(&self, topic: &Topic, member: &Member) {
        let mut state = lock(&self.state);
        let members = state.members.entry(topic.clone()).or_default();
        members.insert(member.id.clone(), member.data.clone());
    }

    /// Returns the groups with members, each with the process as the IDs of its members have it.
    pub(super) fn processes(&self) -> Vec<(Topic, String)> {
        let state = lock(&self.state);
        let groups = state.members.iter();
        groups
            .filter_map(|(topic, members)| {
                let id = members.keys().next()?;
                Some((topic.clone(), process_of(id).to_owned()))
            })
            .collect()
    }

    pub(super) fn members(&self, topic: &Topic) -> Vec<Member> {
        let state = lock(&self.state);
        let members = state.members.get(topic).into_iter().flatten();
        members
            .map(|(id, data)| Member {
                id: id.clone(),
                data: data.clone(),
            })
            .collect()
    }

    /// Removes a member, of whose leave Redis is to be told.
    pub(super) fn remove(&self, topic: &Topic, id: &MemberId) {
        let mut state = lock(&self.state);
        if let Some(members) = state.members.get_mut(topic) {
            members.remove(id);
            if members.is_empty() {
                state.members.remove(topic);
            }
        }
        state.leaving.insert((topic.clone(), id.clone()));
    }

    /// Removes all members.
    pub(super) fn remove_all(&self) {
        let mut state = lock(&self.state);
        for (topic, members) in std::mem::take(&mut state.members) {
            let leaving = members.into_keys().map(|id| (topic.clone(), id));
            state.leaving.extend(leaving);
        }
    }

    /// Lets a member leave again if it has left while the driver has let it join.
    pub(super) fn leave_again_if_left(&self, topic: &Topic, id: &MemberId) {
        let mut state = lock(&self.state);
        let members = state.members.get(topic);
        if !members.is_some_and(|members| members.contains_key(id)) {
            state.leaving.insert((topic.clone(), id.clone()));
            self.leaving.notify_one();
        }
    }

    /// Returns the members that have left of which Redis does not know yet.
    pub(super) fn left(&self) -> Vec<(Topic, MemberId)> {
        lock(&self.state).leaving.iter().cloned().collect()
    }

    /// Notes that Redis knows of a leave.
    pub(super) fn confirm_left(&self, topic: &Topic, id: &MemberId) {
        lock(&self.state)
            .leaving
            .remove(&(topic.clone(), id.clone()));
    }
}

/// Returns the part of an ID that all members of its process share.
pub(super) fn process_of(id: &MemberId) -> &str {
    let id = id.as_str();
    id.rsplit_once('-').map_or(id, |(process, _)| process)
}
