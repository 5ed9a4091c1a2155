//! The entries of the corpus. `corpus/README.md` describes their form.

use std::fs;
use std::path::Path;

use callgate_http1::{Config, Limits, TargetGrammar};
use serde::Deserialize;

/// A file of the corpus.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    entry: Vec<Entry>,
}

/// The octets of a connection, and what a decoder reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Entry {
    /// A sentence.
    pub(crate) name: String,
    /// The section of the standard that decides, such as `RFC 9112, 2.2`.
    pub(crate) section: String,
    /// The octets that the client sends. U+00E9 is the octet E9.
    input: String,
    /// The settings that differ from the defaults.
    #[serde(default)]
    pub(crate) settings: Settings,
    /// Behind how many requests the decoder stops, because the connection changes its protocol.
    pub(crate) stop_after: Option<usize>,
    /// The requests that a decoder reads.
    #[serde(default)]
    pub(crate) requests: Vec<Request>,
    /// What the decoder does behind the requests, unless it refuses the octets. By default, it waits
    /// for the next request.
    #[serde(default)]
    pub(crate) end: End,
    /// Why the decoder refuses the octets.
    pub(crate) error: Option<Error>,
    /// The octets that are left in the read buffer.
    #[serde(default)]
    pub(crate) unread: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    #[serde(default)]
    allow_bare_lf: bool,
    /// Whether the target may have all octets of the grammar of the URL standard.
    #[serde(default)]
    url_grammar: bool,
    method: Option<usize>,
    target: Option<usize>,
    field_count: Option<usize>,
    field: Option<usize>,
    fields: Option<usize>,
    chunk_line: Option<usize>,
    trailers: Option<usize>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) form: Form,
    pub(crate) version: String,
    pub(crate) fields: Vec<String>,
    pub(crate) close: bool,
    pub(crate) expect: Expect,
    pub(crate) upgrade: bool,
    pub(crate) content: String,
    pub(crate) trailers: Vec<String>,
    pub(crate) incomplete: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            form: Form::Origin,
            version: "1.1".to_owned(),
            fields: vec!["host: a".to_owned()],
            close: false,
            expect: Expect::None,
            upgrade: false,
            content: String::new(),
            trailers: Vec::new(),
            incomplete: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Form {
    Origin,
    Absolute,
    Authority,
    Asterisk,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Expect {
    None,
    Continue,
    Unknown,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    #[default]
    Idle,
    InHead,
    InContent,
    Stopped,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Error {
    /// The name of a `DecodeError`.
    pub(crate) name: String,
    pub(crate) status: u16,
}

impl Entry {
    /// Returns the octets that the client sends.
    ///
    /// # Panics
    ///
    /// Panics if a character is not an octet.
    pub(crate) fn input(&self) -> Vec<u8> {
        let octets = self.input.chars().map(u8::try_from);
        octets
            .collect::<Result<_, _>>()
            .unwrap_or_else(|_| panic!("`{}`: a character above U+00FF", self.name))
    }
}

impl Settings {
    pub(crate) fn config(&self) -> Config {
        let limits = Limits::default();
        Config {
            limits: Limits {
                method: self.method.unwrap_or(limits.method),
                target: self.target.unwrap_or(limits.target),
                field_count: self.field_count.unwrap_or(limits.field_count),
                field: self.field.unwrap_or(limits.field),
                fields: self.fields.unwrap_or(limits.fields),
                chunk_line: self.chunk_line.unwrap_or(limits.chunk_line),
                trailers: self.trailers.unwrap_or(limits.trailers),
            },
            allow_bare_lf: self.allow_bare_lf,
            target_grammar: match self.url_grammar {
                true => TargetGrammar::Url,
                false => TargetGrammar::Uri,
            },
        }
    }
}

/// Reads all entries, sorted by their files.
///
/// # Panics
///
/// Panics if a file cannot be read or is malformed.
pub(crate) fn entries() -> Vec<Entry> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let files = fs::read_dir(&directory).unwrap_or_else(|reason| panic!("corpus: {reason}"));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|it| it == "toml"));
    paths.sort();
    paths.iter().flat_map(|path| parse(path).entry).collect()
}

fn parse(path: &Path) -> File {
    let text = fs::read_to_string(path);
    let text = text.unwrap_or_else(|reason| panic!("{}: {reason}", path.display()));
    toml::from_str(&text).unwrap_or_else(|reason| panic!("{}: {reason}", path.display()))
}
