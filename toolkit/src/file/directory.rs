//! A directory of static files.

use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use callgate::{
    App, AppError, BoxApp, HttpResponseStart, HttpScope, Receiver, Scope, Sender, header_methods,
};
use http::{HeaderMap, StatusCode};

use super::encoding::Coding;
use super::{
    Opened, Source, blocking, explain, is_missing, is_served, metadata, open, regular_file,
};
use super::{method_not_allowed, not_found};
use crate::respond;
use crate::vary::add_vary;

/// The file that is served for a directory.
const INDEX: &str = "index.html";

/// The directory whose files are public by their purpose (RFC 8615).
const WELL_KNOWN: &str = ".well-known";

/// An application that serves the files below a directory.
///
/// ```
/// use callgate::{App, AppError, Receiver, Scope, Sender};
/// use callgate_toolkit::file::Directory;
/// use callgate_toolkit::mount::Mounts;
/// use callgate_toolkit::respond;
///
/// async fn home(_: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
///     respond::html("<img src=assets/logo.svg>").send(&sender).await
/// }
///
/// fn app() -> impl App {
///     let assets = Directory::new("assets")
///         .precompressed()
///         .header("cache-control", "max-age=3600");
///     Mounts::new().mount("", home).mount("/assets", assets)
/// }
/// ```
///
/// Files are sent as [`respond::file`] sends them: with their type and validators, by
/// path send where the server offers it, in ranges, and only when the client does not have them.
///
/// - **Paths** are those below the mount, decoded. A path names a file only by plain names: `.`, `..`,
///   empty names, backslashes and zero bytes are a 404, escaped or not.
/// - **Hidden files**, whose names begin with a dot, are a 404, unless [`hidden_files`](Self::hidden_files)
///   serves them. `/.well-known/` is served (RFC 8615).
/// - **Symbolic links** are followed as long as they lead to a place below the directory by a relative
///   path; others are a 404, unless [`follow_links`](Self::follow_links) follows them. On Linux the kernel
///   checks this when it opens the file, so that a link that is replaced meanwhile leads nowhere else.
/// - **Directories** are served by their `index.html`. A path without the slash at its end is redirected to
///   the path with it, so that relative links work. Directories are not listed.
/// - **Special files**, such as pipes and devices, are a 404, and do not hold the request up.
/// - **Methods** other than GET and HEAD are a 405. A file that the server must not read is a 403.
///
/// Files are opened on a thread for blocking work. A directory that is missing is an error of each
/// request, which the server reports.
#[derive(Clone, Debug)]
pub struct Directory {
    /// Shared with the threads that open files.
    settings: Arc<Settings>,
    fallback: Option<BoxApp>,
}

#[derive(Clone, Debug)]
struct Settings {
    root: PathBuf,
    headers: HeaderMap,
    follows_links: bool,
    serves_hidden_files: bool,
    has_precompressed: bool,
}

impl Directory {
    /// Creates an application that serves the files below `root`. A relative path is one below the working
    /// directory of the process.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            settings: Arc::new(Settings {
                root: root.into(),
                headers: HeaderMap::new(),
                follows_links: false,
                serves_hidden_files: false,
                has_precompressed: false,
            }),
            fallback: None,
        }
    }

    header_methods!(this => this.settings_mut().headers);

    /// Follows symbolic links wherever they lead. By default a link must not lead out of the directory.
    ///
    /// A user who can write to the directory can then publish any file that the server can read.
    #[must_use]
    pub fn follow_links(mut self) -> Self {
        self.settings_mut().follows_links = true;
        self
    }

    /// Serves hidden files too, whose names begin with a dot. These often have secrets: `.env`, `.git`.
    #[must_use]
    pub fn hidden_files(mut self) -> Self {
        self.settings_mut().serves_hidden_files = true;
        self
    }

    /// Sends `page.html.br`, `page.html.zst` or `page.html.gz` in place of `page.html` to the clients
    /// that accept such a file (RFC 9110, 12.5.3).
    ///
    /// The file without compression must exist as well. The compressed files must be made anew whenever it
    /// changes: their age is not looked at.
    #[must_use]
    pub fn precompressed(mut self) -> Self {
        self.settings_mut().has_precompressed = true;
        self
    }

    /// Calls `app` for every exchange that the directory does not serve: paths without a file, other
    /// methods, WebSockets, lifespan.
    #[must_use]
    pub fn fallback(mut self, app: impl App) -> Self {
        self.fallback = Some(BoxApp::new(app));
        self
    }

    fn settings_mut(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// Finds the file that a request is for.
    async fn find(&self, scope: &HttpScope) -> io::Result<Found> {
        let route_path = scope.route_path();
        let Some(path) = self.settings.relative_path(&route_path, scope.raw_path()) else {
            return Ok(Found::Nothing);
        };
        let codings = match self.settings.has_precompressed {
            true => Coding::accepted(&scope.headers),
            false => Vec::new(),
        };
        let settings = self.settings.clone();
        let has_slash = scope.raw_path().ends_with('/');
        blocking(move || settings.find(path, has_slash, &codings)).await
    }
}

/// The result of the search for a file.
enum Found {
    File(Box<FoundFile>),
    /// A directory with an index, whose path has no slash at its end.
    WithoutSlash,
    Nothing,
    Forbidden,
}

struct FoundFile {
    /// The path of the file without compression.
    name: PathBuf,
    file: File,
    metadata: Metadata,
    coding: Option<Coding>,
}

impl Settings {
    /// Returns the path of a file below the root; `None` for a path that names no file.
    fn relative_path(&self, route_path: &str, raw_path: &str) -> Option<PathBuf> {
        let names = route_path.strip_prefix('/')?;
        // Browsers do not resolve relative links by a slash that is escaped.
        let names = match raw_path.ends_with('/') {
            true => names.strip_suffix('/').unwrap_or(names),
            false => names,
        };
        let mut path = PathBuf::from(".");
        if names.is_empty() {
            return Some(path);
        }
        for (index, name) in names.split('/').enumerate() {
            let is_hidden = name.starts_with('.') && !(index == 0 && name == WELL_KNOWN);
            if !is_plain(name, cfg!(windows)) || is_hidden && !self.serves_hidden_files {
                return None;
            }
            path.push(name);
        }
        Some(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        match self.follows_links {
            true => open::open(&self.root.join(path)),
            false => open::open_beneath(&self.root, path),
        }
    }

    fn find(&self, path: PathBuf, has_slash: bool, codings: &[Coding]) -> io::Result<Found> {
        match self.find_file(path, has_slash, codings) {
            Err(error) if is_missing(&error) => match std::fs::metadata(&self.root) {
                Ok(root) if root.is_dir() => Ok(Found::Nothing),
                Ok(_) => Err(self.unusable(&io::ErrorKind::NotADirectory.into())),
                Err(error) => Err(self.unusable(&error)),
            },
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(Found::Forbidden),
            found => found,
        }
    }

    fn unusable(&self, error: &io::Error) -> io::Error {
        let root = self.root.display();
        io::Error::new(
            error.kind(),
            format!("cannot serve the files of {root}: {error}"),
        )
    }

    fn find_file(
        &self,
        mut path: PathBuf,
        has_slash: bool,
        codings: &[Coding],
    ) -> io::Result<Found> {
        let is_directory = |file: &File| file.metadata().is_ok_and(|metadata| metadata.is_dir());
        let file = match self.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => None,
            opened => Some(opened?).filter(|file| !is_directory(file)),
        };
        let (file, metadata) = match file {
            Some(_) if has_slash => return Ok(Found::Nothing),
            Some(file) => regular_file(file)?,
            None => {
                path.push(INDEX);
                let index = regular_file(self.open(&path)?)?;
                if !has_slash {
                    return Ok(Found::WithoutSlash);
                }
                index
            }
        };
        let compressed = codings.iter().find_map(|coding| {
            let mut name = path.clone().into_os_string();
            name.push(coding.suffix());
            let opened = self.open(Path::new(&name)).and_then(regular_file);
            opened.ok().map(|opened| (opened, *coding))
        });
        let ((file, metadata), coding) = match compressed {
            Some((opened, coding)) => (opened, Some(coding)),
            None => ((file, metadata), None),
        };
        Ok(Found::File(Box::new(FoundFile {
            name: path,
            file,
            metadata,
            coding,
        })))
    }
}

/// Returns whether this text is the name of a file, and not a way to another directory.
fn is_plain(name: &str, is_windows: bool) -> bool {
    // On Windows, `a:b` names a stream or a drive, and `ENV~1` is the short name of `.env`.
    let has_other_meaning = |name: &str| {
        let bytes = name.as_bytes();
        let is_short_name = |pair: &[u8]| pair[0] == b'~' && pair[1].is_ascii_digit();
        bytes.contains(&b':') || bytes.windows(2).any(is_short_name)
    };
    let leads_elsewhere = matches!(name, "" | "." | "..") || name.contains(['\0', '\\', '/']);
    !(leads_elsewhere || is_windows && has_other_meaning(name))
}

impl App for Directory {
    async fn call(&self, scope: Scope, receiver: Receiver, sender: Sender) -> Result<(), AppError> {
        let Scope::Http(request) = &scope else {
            return match &self.fallback {
                Some(app) => app.call(scope, receiver, sender).await,
                None => Err(AppError::Unsupported),
            };
        };
        let instead = if !is_served(&request.method) {
            method_not_allowed()
        } else {
            match self.find(request).await? {
                Found::File(found) => return found.send(&self.settings, request, &sender).await,
                Found::WithoutSlash => return respond::add_slash(&request.uri).send(&sender).await,
                Found::Nothing => not_found(),
                Found::Forbidden => {
                    let text = "This file is not readable.\n";
                    return explain(StatusCode::FORBIDDEN, text).send(&sender).await;
                }
            }
        };
        match &self.fallback {
            Some(app) => app.call(scope, receiver, sender).await,
            None => instead.send(&sender).await,
        }
    }
}

impl FoundFile {
    async fn send(
        self,
        settings: &Settings,
        scope: &HttpScope,
        sender: &Sender,
    ) -> Result<(), AppError> {
        let mut start = HttpResponseStart::ok();
        start.headers = settings.headers.clone();
        if settings.has_precompressed {
            add_vary(&mut start.headers, "accept-encoding");
        }
        metadata::describe(&mut start.headers, &self.name, &self.metadata, self.coding);
        let path = path_of(&self.file);
        let source = Source {
            metadata: self.metadata,
            opened: Opened::Here(self.file, path),
        };
        source.send(scope, start, sender).await
    }
}

/// Returns a path by which the server opens the same file again, whatever its name is by then.
#[cfg(target_os = "linux")]
fn path_of(file: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd as _;

    Some(format!("/proc/self/fd/{}", file.as_raw_fd()).into())
}

/// Other systems have no such path. The file is streamed.
#[cfg(not(target_os = "linux"))]
fn path_of(_: &File) -> Option<PathBuf> {
    None
}

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn a_name_with_another_meaning_is_not_plain() {
        for name in [
            "a", "a.b", "...", ".env", "a b", "é", "a~1", "a:b", "*", "~",
        ] {
            assert!(is_plain(name, false), "{name}");
        }
        for name in ["", ".", "..", "a\\b", "\\", "a\0b", "a/b"] {
            assert!(!is_plain(name, false), "{name:?}");
        }
        for name in ["C:", "a:b", "a::$DATA", "ENV~1"] {
            assert!(!is_plain(name, true), "{name}");
        }
        assert!(is_plain("vendors~main.js", true));
    }
}
