//! The turns of a server whose thread belongs to another event loop.
//!
//! Such a server answers many requests in one turn, one after the other, and each write would wake the process on the
//! other side. Where both are on one machine, the wake takes longer than the write. So sockets keep what is small until the
//! turn ends ([`at_end`]).
//!
//! A turn that lasts is not waited for. After [`LONGEST`], the next write ends what has been gathered.

use std::cell::RefCell;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::task;

/// How long a turn, or a part of it, gathers what it has to send. A server that runs the calls of a
/// turn one after the other pauses after this time too, and calls [`end_part`] before it goes on.
pub const LONGEST: Duration = Duration::from_millis(4);

thread_local! {
    static PART: RefCell<Option<Part>> = const { RefCell::new(None) };
}

/// What has been gathered since the turn began, or since a part of it ended.
struct Part {
    began: Instant,
    gathered: Vec<Arc<dyn AtEnd>>,
}

impl Part {
    /// Ends this part, and begins the next one. Returns what is to be done.
    fn end(&mut self, now: Instant) -> Vec<Arc<dyn AtEnd>> {
        self.began = now;
        mem::take(&mut self.gathered)
    }
}

/// Something to be done at the end of a turn.
pub trait AtEnd {
    /// Does it. The thread is where tasks can be spawned.
    fn turn_ends(self: Arc<Self>);
}

/// Returns whether this thread works in turns.
pub fn is_used() -> bool {
    task::is_local()
}

/// Begins a turn.
pub fn begin() {
    PART.set(Some(Part {
        began: Instant::now(),
        gathered: Vec::new(),
    }));
}

/// Ends the turn, and does what is to be done.
pub fn end() {
    if let Some(part) = PART.take() {
        run(part.gathered);
    }
}

/// Does what is to be done so far. The turn goes on with its next part.
pub fn end_part() {
    let due = PART.with_borrow_mut(|part| part.as_mut().map(|part| part.end(Instant::now())));
    run(due.unwrap_or_default());
}

/// Has `action` done at the end of this turn; at once when the turn has lasted long, with all that was gathered, and
/// outside a turn.
pub fn at_end(action: Arc<dyn AtEnd>) {
    let due = PART.with_borrow_mut(|part| {
        let Some(part) = part else {
            return vec![action];
        };
        part.gathered.push(action);
        let now = Instant::now();
        if now.duration_since(part.began) < LONGEST {
            return Vec::new();
        }
        part.end(now)
    });
    run(due);
}

fn run(due: Vec<Arc<dyn AtEnd>>) {
    for action in due {
        action.turn_ends();
    }
}
