//! Why a server did not start, or did not shut down as it should.

use std::fmt;
use std::io;
use std::path::PathBuf;

use callgate_drive::Escaped;

use crate::config::BindAddress;
#[cfg(feature = "tls")]
use crate::tls::TlsError;

/// Why a server did not start, or did not shut down as it should.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// A setting has a value that cannot be used.
    Setting {
        /// The method of [`Config`](crate::Config) that sets it.
        name: &'static str,
        /// The values that the setting may have.
        remedy: &'static str,
    },
    /// Two settings do not fit together.
    Conflict {
        /// The methods of [`Config`](crate::Config) that set them.
        names: [&'static str; 2],
        /// What to do.
        remedy: &'static str,
    },
    /// An address cannot be listened on.
    Listen {
        /// The method of [`Config`](crate::Config) that sets the address: `bind` stands for all that name
        /// addresses for clients, but for `insecure_bind`.
        name: &'static str,
        /// The address.
        address: BindAddress,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// The file of a log cannot be opened.
    LogFile {
        /// The method of [`Config`](crate::Config) that sets it.
        name: &'static str,
        /// The path of the file.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// The thread that writes the log cannot be started.
    LogThread(io::Error),
    /// A listener that was handed in cannot be used.
    Listener(io::Error),
    /// The certificates cannot be used.
    #[cfg(feature = "tls")]
    Tls(TlsError),
    /// Signals cannot be listened for.
    Signals(io::Error),
    /// The threads of the runtime cannot be started.
    Runtime {
        /// The number of threads.
        threads: usize,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// The number of the process cannot be written to a file.
    PidFile(String),
    /// Files cannot be watched, so that the server cannot start again when they change.
    Reload(String),
    /// What a command line puts around the application cannot be made.
    Wrapper(String),
    /// The sockets of the process that this one succeeds cannot be taken over.
    Predecessor(io::Error),
    /// The application's start-up failed: its message, or the rule that it broke.
    Startup(String),
    /// The application does not serve lifespan, which [`LifespanMode::On`](crate::LifespanMode)
    /// requires.
    LifespanDeclined,
    /// The application's shutdown, or its lifespan before that, failed.
    Shutdown(String),
    /// Connections or applications did not end when they were dropped at the end of a shutdown: an
    /// application blocks its thread.
    StillRunning(usize),
}

impl ServeError {
    /// Returns the exit status for a process that ends with this error: 3 for a failed start, 1 for
    /// a failed shutdown (rules `LIFE-05`, `LIFE-10`).
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Setting { .. }
            | Self::Conflict { .. }
            | Self::Listen { .. }
            | Self::LogFile { .. }
            | Self::LogThread(_)
            | Self::Listener(_)
            | Self::Signals(_)
            | Self::Runtime { .. }
            | Self::PidFile(_)
            | Self::Reload(_)
            | Self::Wrapper(_)
            | Self::Predecessor(_)
            | Self::Startup(_)
            | Self::LifespanDeclined => 3,
            #[cfg(feature = "tls")]
            Self::Tls(_) => 3,
            Self::Shutdown(_) | Self::StillRunning(_) => 1,
        }
    }
}

impl fmt::Display for ServeError {
    /// Writes one line. The texts of the application are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting { name, remedy } => {
                write!(f, "the setting `{name}` cannot be used: {remedy}")
            }
            Self::Conflict {
                names: [first, second],
                remedy,
            } => {
                write!(
                    f,
                    "the settings `{first}` and `{second}` do not fit together: {remedy}"
                )
            }
            Self::Listen {
                address, reason, ..
            } => {
                // The text of the system's error, without its number.
                let reason = reason.to_string();
                let reason = reason.split(" (os error").next().unwrap_or_default();
                write!(f, "cannot listen on {address}: {}", reason.to_lowercase())
            }
            Self::LogFile { path, reason, .. } => {
                write!(f, "cannot open the log file {}: {reason}", path.display())
            }
            Self::LogThread(reason) => write!(f, "cannot start the thread of the log: {reason}"),
            Self::Listener(reason) => write!(f, "cannot use a listener: {reason}"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.fmt(f),
            Self::Signals(reason) => write!(f, "cannot listen for signals: {reason}"),
            Self::Runtime { threads, reason } => {
                write!(f, "cannot start {threads} threads: {reason}")
            }
            Self::PidFile(reason) => f.write_str(reason),
            Self::Reload(reason) => write!(f, "cannot watch files: {reason}"),
            Self::Wrapper(reason) => Escaped(reason).fmt(f),
            Self::Predecessor(reason) => {
                write!(
                    f,
                    "cannot take the sockets of the process before this one: {reason}"
                )
            }
            Self::Startup(reason) => {
                write!(f, "the application failed to start: {}", Escaped(reason))
            }
            Self::LifespanDeclined => f.write_str(
                "the application failed to start: it does not serve lifespan, which is required",
            ),
            Self::Shutdown(reason) => {
                let reason = Escaped(reason);
                write!(f, "the application failed to shut down: {reason}")
            }
            Self::StillRunning(count) => write!(
                f,
                "still running after the time for shutdown: {count} connections or applications (an \
                 application blocks its thread)"
            ),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Listen { reason, .. }
            | Self::LogFile { reason, .. }
            | Self::LogThread(reason)
            | Self::Runtime { reason, .. }
            | Self::Listener(reason)
            | Self::Signals(reason)
            | Self::Predecessor(reason) => Some(reason),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_applications_words_cannot_forge_a_line() {
        let words = || "no\r\nINFO all is\u{202e} well".to_owned();
        for error in [ServeError::Startup(words()), ServeError::Shutdown(words())] {
            let line = error.to_string();
            assert!(line.ends_with(r"no\r\nINFO all is\u{202e} well"), "{line}");
        }
    }

    #[test]
    fn errors_of_the_library_do_not_speak_of_flags() {
        let reason = || io::Error::from(io::ErrorKind::AddrInUse);
        let address = BindAddress::Tcp("127.0.0.1".into(), 80);
        for error in [
            ServeError::Setting {
                name: "root_path",
                remedy: "give another",
            },
            ServeError::Conflict {
                names: ["bind", "port"],
                remedy: "give one of them",
            },
            ServeError::Listen {
                name: "bind",
                address,
                reason: reason(),
            },
            ServeError::LogFile {
                name: "access_log_file",
                path: "/no/log".into(),
                reason: reason(),
            },
            ServeError::LogThread(reason()),
            ServeError::Listener(reason()),
            ServeError::Signals(reason()),
            ServeError::Startup("x".into()),
            ServeError::LifespanDeclined,
            ServeError::Shutdown("x".into()),
            ServeError::StillRunning(1),
        ] {
            assert!(!error.to_string().contains("--"), "{error}");
        }
    }
}
