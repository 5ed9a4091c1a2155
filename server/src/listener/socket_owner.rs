//! The owner of Unix sockets, as the system knows it.

use std::io;

use crate::config::SocketOwner;

/// Returns the numbers of the user and the group, which may be given as names.
pub(super) fn ids(owner: &SocketOwner) -> io::Result<(u32, u32)> {
    let user = id(&owner.user, "user", |name| {
        uzers::get_user_by_name(name).map(|user| user.uid())
    })?;
    let group = id(&owner.group, "group", |name| {
        uzers::get_group_by_name(name).map(|group| group.gid())
    })?;
    Ok((user, group))
}

fn id(name: &str, kind: &str, find: impl FnOnce(&str) -> Option<u32>) -> io::Result<u32> {
    let number = name.parse().ok();
    number.or_else(|| find(name)).ok_or_else(|| {
        let reason = format!("there is no {kind} {name} for the socket");
        io::Error::new(io::ErrorKind::NotFound, reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(user: &str, group: &str) -> SocketOwner {
        SocketOwner {
            user: user.into(),
            group: group.into(),
        }
    }

    #[test]
    fn an_owner_is_given_by_names_or_by_numbers() {
        assert_eq!(ids(&owner("root", "0")).unwrap(), (0, 0));
        assert_eq!(ids(&owner("33", "34")).unwrap(), (33, 34));
        let error = ids(&owner("0", "no-such-group")).unwrap_err().to_string();
        assert_eq!(error, "there is no group no-such-group for the socket");
    }
}
