//! The settings of decoders.

/// The settings of a decoder. The default is strict.
///
/// ```
/// use callgate_http1::{Config, Limits};
///
/// let config = Config {
///     limits: Limits { target: 2048, ..Limits::default() },
///     ..Config::default()
/// };
/// assert!(!config.allow_bare_lf);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How large the parts of a request may be.
    pub limits: Limits,
    /// Whether a bare LF ends a line of a head, for old clients (RFC 9112, section 2.2). Chunk
    /// lines and trailer sections always end their lines with CRLF. Default `false`.
    pub allow_bare_lf: bool,
    /// Which octets a target may have. Default [`TargetGrammar::Uri`].
    pub target_grammar: TargetGrammar,
}

/// How large the parts of a request may be. Each limit has its own
/// [`DecodeError`](crate::DecodeError). All lengths are in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The length of the method. A longer method is answered with 501 (RFC 9112, section 3).
    /// Default 64.
    pub method: usize,
    /// The length of the target. A longer target is answered with 414 (RFC 9112, section 3).
    /// Default 8,192. A higher limit counts as 65,534.
    pub target: usize,
    /// The number of field lines in a head, and again in a trailer section. More are answered with
    /// 431. Default 100. A higher limit counts as 24,576.
    pub field_count: usize,
    /// The length of a field line without its line end. A longer field line is answered with 431.
    /// Default 16,384.
    pub field: usize,
    /// The length of all field lines of a head with their line ends. More is answered with 431.
    /// Default 65,536. A higher limit than 1 GiB counts as 1 GiB.
    pub fields: usize,
    /// The length of the line in front of a chunk (its size and its extensions) without its line
    /// end. A longer line is answered with 400. Default 256.
    pub chunk_line: usize,
    /// The length of all field lines of a trailer section with their line ends. More is answered
    /// with 431. Default 8,192. A higher limit than 1 GiB counts as 1 GiB.
    pub trailers: usize,
}

impl Limits {
    /// Returns the length of a target that is accepted: at most that of an [`http::Uri`].
    pub(crate) fn longest_target(&self) -> usize {
        self.target.min(65_534)
    }

    /// Returns the number of field lines that are accepted: at most as many as an
    /// [`http::HeaderMap`] holds.
    pub(crate) fn most_fields(&self) -> usize {
        self.field_count.min(24 * 1024)
    }

    /// Returns the length of a section that is accepted: places in the section are counted in 32
    /// bits. `limit` is the setting.
    pub(crate) fn longest_section(limit: usize) -> usize {
        limit.min(1024 * 1024 * 1024)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            method: 64,
            target: 8 * 1024,
            field_count: 100,
            field: 16 * 1024,
            fields: 64 * 1024,
            chunk_line: 256,
            trailers: 8 * 1024,
        }
    }
}

/// Which octets the path and the query of a target may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TargetGrammar {
    /// The octets of the grammar of RFC 3986, and no others (RFC 9112, section 3.2).
    #[default]
    Uri,
    /// Also `[`, `]`, `{`, `}`, `|`, `\` and `^`, and in the query also the backtick and `%`
    /// without two hexadecimal digits. Browsers send these octets without percent-encoding, as the
    /// URL standard of the WHATWG has it: `/?page[number]=2`.
    Url,
}
