//! Writes exchanges to a recording: a file of JSON Lines.

pub(crate) mod credentials;
mod record_file;
pub(crate) mod record_line;
mod recorder;

pub use credentials::MASKED;
pub use record_file::RecordFile;
pub use record_line::RecordLine;
pub use recorder::Recorder;
