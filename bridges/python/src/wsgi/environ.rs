//! Scopes, as environments of WSGI.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use callgate::{HttpScope, Scheme};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HeaderName};
use http::{HeaderValue, Version};
use percent_encoding::percent_decode_str;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::MutexExt as _;
use pyo3::types::{PyDict, PyString};

use super::file::FileWrapper;
use crate::asgi::{method, scheme};

/// The most names of fields whose keys are kept.
const MOST_KEYS: usize = 128;

/// Makes environments. What environments have in common is kept between them.
#[derive(Debug)]
pub(super) struct Environs {
    template: Py<PyDict>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The keys of fields. `None` for a field that an environment cannot have.
    keys: HashMap<HeaderName, Option<Py<PyString>>>,
    client: Option<(IpAddr, Py<PyString>)>,
    server: Option<(IpAddr, Py<PyString>)>,
    server_port: Option<(u16, Py<PyString>)>,
    path: Option<KeptPath>,
}

/// A `PATH_INFO`, and what it is made of.
#[derive(Debug)]
struct KeptPath {
    raw_path: String,
    root_path: String,
    path_info: Py<PyString>,
}

impl Environs {
    pub(super) fn new(
        py: Python<'_>,
        has_several_threads: bool,
        has_several_processes: bool,
    ) -> PyResult<Self> {
        let template = PyDict::new(py);
        template.set_item("wsgi.version", (1, 0))?;
        template.set_item("wsgi.errors", py.import("sys")?.getattr("stderr")?)?;
        template.set_item("wsgi.multithread", has_several_threads)?;
        template.set_item("wsgi.multiprocess", has_several_processes)?;
        template.set_item("wsgi.run_once", false)?;
        template.set_item("wsgi.input_terminated", true)?;
        template.set_item("wsgi.file_wrapper", py.get_type::<FileWrapper>())?;
        template.set_item(
            "SERVER_SOFTWARE",
            concat!("callgate/", env!("CARGO_PKG_VERSION")),
        )?;
        template.set_item("SCRIPT_NAME", "")?;
        Ok(Self {
            template: template.unbind(),
            kept: Mutex::default(),
        })
    }

    /// Returns the environment of a request, without its `wsgi.input`.
    pub(super) fn environ<'py>(
        &self,
        py: Python<'py>,
        scope: &HttpScope,
    ) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.template.bind(py).copy()?;
        environ.set_item(intern!(py, "REQUEST_METHOD"), method(py, &scope.method))?;
        environ.set_item(
            intern!(py, "QUERY_STRING"),
            latin_1(py, scope.query().as_bytes()),
        )?;
        let version = protocol(py, scope.version);
        environ.set_item(intern!(py, "SERVER_PROTOCOL"), version)?;
        environ.set_item(intern!(py, "wsgi.url_scheme"), scheme(py, scope.scheme))?;
        let mut kept = self
            .kept
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner);
        kept.path(&environ, scope)?;
        kept.addresses(&environ, scope)?;
        kept.fields(&environ, scope)?;
        Ok(environ)
    }
}

impl Kept {
    fn path(&mut self, environ: &Bound<'_, PyDict>, scope: &HttpScope) -> PyResult<()> {
        let py = environ.py();
        let raw_path = scope.raw_path();
        let root_path = scope.root_path.trim_end_matches('/');
        if !root_path.is_empty() {
            let script_name = latin_1(py, root_path.as_bytes());
            environ.set_item(intern!(py, "SCRIPT_NAME"), script_name)?;
        }
        let is_same = |kept: &KeptPath| kept.raw_path == raw_path && kept.root_path == root_path;
        if !self.path.as_ref().is_some_and(is_same) {
            let path: Vec<u8> = percent_decode_str(raw_path).collect();
            let below = match path.strip_prefix(root_path.as_bytes()) {
                Some(below) if below.is_empty() || below.starts_with(b"/") => below,
                _ => &path,
            };
            self.path = Some(KeptPath {
                raw_path: raw_path.into(),
                root_path: root_path.into(),
                path_info: latin_1(py, below).unbind(),
            });
        }
        let path_info = self.path.as_ref().map(|kept| &kept.path_info);
        environ.set_item(intern!(py, "PATH_INFO"), path_info)
    }

    fn addresses(&mut self, environ: &Bound<'_, PyDict>, scope: &HttpScope) -> PyResult<()> {
        let py = environ.py();
        if let Some(client) = scope.client {
            let address = text_of(py, &mut self.client, client.ip());
            environ.set_item(intern!(py, "REMOTE_ADDR"), address)?;
            let port = PyString::new(py, &client.port().to_string());
            environ.set_item(intern!(py, "REMOTE_PORT"), port)?;
        }
        let (name, port) = (intern!(py, "SERVER_NAME"), intern!(py, "SERVER_PORT"));
        match scope.server {
            Some(server) => {
                environ.set_item(name, text_of(py, &mut self.server, server.ip()))?;
                environ.set_item(port, text_of(py, &mut self.server_port, server.port()))
            }
            // A Unix socket has no address, and an environment must have one.
            None => {
                environ.set_item(name, intern!(py, "localhost"))?;
                environ.set_item(
                    port,
                    match scope.scheme {
                        Scheme::Http => intern!(py, "80"),
                        Scheme::Https => intern!(py, "443"),
                    },
                )
            }
        }
    }

    fn fields(&mut self, environ: &Bound<'_, PyDict>, scope: &HttpScope) -> PyResult<()> {
        let py = environ.py();
        for name in scope.headers.keys() {
            if self.keys.len() >= MOST_KEYS {
                self.keys.clear();
            }
            let key = match self.keys.get(name) {
                Some(key) => key,
                None => self.keys.entry(name.clone()).or_insert(key(py, name)),
            };
            let Some(key) = key else { continue };
            let mut values = scope.headers.get_all(name).iter();
            let (Some(first), next) = (values.next(), values.next()) else {
                continue;
            };
            let Some(next) = next else {
                environ.set_item(key, latin_1(py, first.as_bytes()))?;
                continue;
            };
            let separator: &[u8] = if name == COOKIE { b"; " } else { b"," };
            let values: Vec<_> = [first, next].into_iter().chain(values).collect();
            let values: Vec<_> = values.into_iter().map(HeaderValue::as_bytes).collect();
            environ.set_item(key, latin_1(py, &values.join(separator)))?;
        }
        Ok(())
    }
}

/// Returns the key of a field. `None` for a name with `_`, as its key would be that of another field.
fn key(py: Python<'_>, name: &HeaderName) -> Option<Py<PyString>> {
    if name.as_str().contains('_') {
        return None;
    }
    let upper = name.as_str().to_ascii_uppercase().replace('-', "_");
    let key = match *name {
        CONTENT_LENGTH | CONTENT_TYPE => upper,
        _ => format!("HTTP_{upper}"),
    };
    Some(PyString::new(py, &key).unbind())
}

fn protocol(py: Python<'_>, version: Version) -> &Bound<'_, PyString> {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => intern!(py, "HTTP/1.0"),
        Version::HTTP_2 => intern!(py, "HTTP/2"),
        Version::HTTP_3 => intern!(py, "HTTP/3"),
        _ => intern!(py, "HTTP/1.1"),
    }
}

/// Returns a value as text, which is kept for the next time.
fn text_of<'a, T: PartialEq + ToString>(
    py: Python<'_>,
    kept: &'a mut Option<(T, Py<PyString>)>,
    value: T,
) -> Option<&'a Py<PyString>> {
    if kept.as_ref().is_none_or(|(kept, _)| *kept != value) {
        let text = PyString::new(py, &value.to_string()).unbind();
        *kept = Some((value, text));
    }
    kept.as_ref().map(|(_, text)| text)
}

/// Returns octets as the text that WSGI has them in: each is a character.
fn latin_1<'py>(py: Python<'py>, octets: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(octets) {
        Ok(text) if text.is_ascii() => PyString::new(py, text),
        _ => {
            let text: String = octets.iter().map(|&octet| char::from(octet)).collect();
            PyString::new(py, &text)
        }
    }
}
