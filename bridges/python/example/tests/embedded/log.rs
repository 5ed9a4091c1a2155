//! The log of this program, which tests read.

use std::io;
use std::sync::{Mutex, Once};

use tracing_subscriber::fmt::MakeWriter;

static TEXT: Mutex<String> = Mutex::new(String::new());

/// Keeps the log, from the first call on.
pub(crate) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(Log)
            .init();
    });
}

/// Returns how often the log has this text.
pub(crate) fn count(text: &str) -> usize {
    TEXT.lock().unwrap().matches(text).count()
}

struct Log;

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        TEXT.lock()
            .unwrap()
            .push_str(&String::from_utf8_lossy(octets));
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
