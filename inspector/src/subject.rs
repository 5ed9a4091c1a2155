//! An application that is inspected, and what it runs with.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callgate::{App, BoxApp, Scope, State};
use tokio::runtime::Handle;

/// An application that is inspected, as a replay needs it.
pub(crate) struct Subject {
    pub(crate) app: BoxApp,
    running: Mutex<Option<Running>>,
}

/// What an application runs with.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// The state of its start-up.
    pub(crate) state: State,
    pub(crate) runtime: Handle,
}

impl Subject {
    pub(crate) fn new(app: impl App) -> Self {
        Self {
            app: BoxApp::new(app),
            running: Mutex::new(None),
        }
    }

    /// Returns what the application runs with; `None` before its first exchange that was kept, and after its
    /// lifespan.
    pub(crate) fn running(&self) -> Option<Running> {
        self.lock_running().clone()
    }

    /// Notes the state and the runtime of an exchange.
    pub(crate) fn note_running(&self, scope: &Scope) {
        if let (Some(request), Ok(runtime)) = (scope.request(), Handle::try_current()) {
            let state = request.state.clone();
            *self.lock_running() = Some(Running { state, runtime });
        }
    }

    /// Lets the state go.
    pub(crate) fn note_stopped(&self) {
        *self.lock_running() = None;
    }

    fn lock_running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}
