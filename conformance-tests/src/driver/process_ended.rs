//! The end of the process that an application runs in.

/// The panic of a call whose application has ended its process, with a description of how: the end of a sentence. An application in a process
/// of its own can do that; one in this process cannot.
pub(crate) struct ProcessEnded(pub(crate) String);
