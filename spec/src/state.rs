use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Values that an application creates at start-up and uses in every exchange. The state holds at
/// most one value of each type.
///
/// The application fills the state during lifespan start-up and sends the state with
/// [`LifespanStartupComplete`](crate::LifespanStartupComplete). Every later scope shares the state
/// by one reference count (rule `SCOPE-17`), and no exchange changes the state. A middleware
/// inserts a value for a single exchange into [`extensions`](crate::RequestScope::extensions)
/// instead.
///
/// ```
/// use callgate::State;
///
/// struct Pool(&'static str);
///
/// let mut state = State::new();
/// state.insert(Pool("sqlite::memory:"));
/// let shared = state.clone();
/// assert_eq!(shared.get::<Pool>().unwrap().0, "sqlite::memory:");
/// assert!(shared.get::<String>().is_none());
/// ```
#[derive(Clone, Default)]
pub struct State(Option<Arc<Entries>>);

type Entries = HashMap<TypeId, Entry>;

#[derive(Clone)]
struct Entry {
    type_name: &'static str,
    value: Arc<dyn Any + Send + Sync>,
}

impl State {
    /// Creates an empty state.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Inserts `value` and replaces a value of the same type. Clones of this state do not change.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        let entries = Arc::make_mut(self.0.get_or_insert_default());
        entries.insert(
            TypeId::of::<T>(),
            Entry {
                type_name: type_name::<T>(),
                value: Arc::new(value),
            },
        );
    }

    /// Returns the value of type `T`, if there is one.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let entry = self.0.as_ref()?.get(&TypeId::of::<T>())?;
        entry.value.downcast_ref()
    }

    /// Inserts every value of `other` and replaces values of the same types.
    pub fn extend(&mut self, other: &Self) {
        let Some(others) = &other.0 else { return };
        let entries = Arc::make_mut(self.0.get_or_insert_default());
        entries.extend(others.iter().map(|(id, entry)| (*id, entry.clone())));
    }

    /// Returns whether the state holds no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|entries| entries.is_empty())
    }
}

/// Two states are equal if they share the same values. The types of the values are unknown, so the
/// values themselves are not compared.
impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(ours), Some(theirs)) => {
                ours.len() == theirs.len()
                    && ours.iter().all(|(id, entry)| {
                        theirs
                            .get(id)
                            .is_some_and(|other| Arc::ptr_eq(&entry.value, &other.value))
                    })
            }
            _ => self.is_empty() && other.is_empty(),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self
            .0
            .iter()
            .flat_map(|entries| entries.values())
            .map(|entry| entry.type_name)
            .collect();
        names.sort_unstable();
        f.debug_tuple("State").field(&names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn insert_into_a_clone_is_not_seen_by_the_original() {
        let mut original = State::new();
        original.insert(1_u8);
        let mut clone = original.clone();
        clone.insert(2_u8);
        clone.insert("new");
        assert_eq!(original.get::<u8>(), Some(&1));
        assert_eq!(original.get::<&str>(), None);
        assert_eq!(clone.get::<u8>(), Some(&2));
    }

    #[test]
    fn clones_are_equal_and_share_their_values() {
        let mut state = State::new();
        assert_eq!(state, State::new());
        state.insert(String::from("pool"));
        let clone = state.clone();
        assert_eq!(state, clone);
        assert!(std::ptr::eq(
            state.get::<String>().unwrap(),
            clone.get::<String>().unwrap()
        ));
        assert_ne!(state, State::new());
    }

    #[test]
    fn debug_names_the_types_it_holds() {
        let mut state = State::new();
        state.insert(1_u8);
        assert_eq!(format!("{state:?}"), r#"State(["u8"])"#);
    }
}
