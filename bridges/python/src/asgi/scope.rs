//! Scopes, to ASGI.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use callgate::{Feature, Features, RequestScope, Scheme, Scope, TlsInfo};
use http::{HeaderName, Method, Version};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::MutexExt as _;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

/// The version of ASGI's specification of HTTP. From version 2.4 on, Starlette does not notice that the client of a stream
/// is gone while the stream has nothing to send.
const HTTP_SPEC_VERSION: &str = "2.3";

/// The version of ASGI's specification of WebSocket.
const WEBSOCKET_SPEC_VERSION: &str = "2.4";

/// The version of ASGI's specification of the lifespan.
const LIFESPAN_SPEC_VERSION: &str = "2.0";

/// How many names of fields are kept.
const MOST_NAMES: usize = 32;

/// Makes scopes. What scopes have in common is kept between them.
#[derive(Debug)]
pub(super) struct Scopes {
    http: Py<PyDict>,
    websocket: Py<PyDict>,
    /// What the application puts into the scope of its lifespan, and what each later scope has a copy of.
    state: Py<PyDict>,
    has_http_shutdown: bool,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    client: Option<(SocketAddr, Py<PyTuple>)>,
    server: Option<(SocketAddr, Py<PyTuple>)>,
    features: Option<(Features, Py<PyDict>)>,
    path: Option<(String, Py<PyString>)>,
    /// The names of the fields, in their order.
    names: Vec<(HeaderName, Py<PyBytes>)>,
}

impl Scopes {
    pub(super) fn new(py: Python<'_>, has_http_shutdown: bool) -> PyResult<Self> {
        let template = |kind, spec_version| {
            let template = PyDict::new(py);
            template.set_item("type", kind)?;
            template.set_item("asgi", versions(py, spec_version)?)?;
            template.set_item("root_path", "")?;
            PyResult::Ok(template.unbind())
        };
        Ok(Self {
            http: template("http", HTTP_SPEC_VERSION)?,
            websocket: template("websocket", WEBSOCKET_SPEC_VERSION)?,
            state: PyDict::new(py).unbind(),
            has_http_shutdown,
            kept: Mutex::default(),
        })
    }

    /// Returns the scope for the application; `None` if ASGI does not have its kind.
    pub(super) fn scope<'py>(
        &self,
        py: Python<'py>,
        scope: &Scope,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        match scope {
            Scope::Http(scope) => {
                let dict = self.http.bind(py).copy()?;
                dict.set_item(intern!(py, "method"), method(py, &scope.method))?;
                dict.set_item(intern!(py, "scheme"), scheme(py, scope.scheme))?;
                self.request(&dict, &scope.request)?;
                Ok(Some(dict))
            }
            Scope::WebSocket(scope) => {
                let dict = self.websocket.bind(py).copy()?;
                let subprotocols = scope.subprotocols.iter().map(|name| &**name);
                dict.set_item(intern!(py, "subprotocols"), PyList::new(py, subprotocols)?)?;
                dict.set_item(intern!(py, "scheme"), scope.scheme.as_websocket_str())?;
                self.request(&dict, &scope.request)?;
                Ok(Some(dict))
            }
            Scope::Lifespan(_) => {
                let dict = PyDict::new(py);
                dict.set_item("type", "lifespan")?;
                dict.set_item("asgi", versions(py, LIFESPAN_SPEC_VERSION)?)?;
                dict.set_item("state", &self.state)?;
                Ok(Some(dict))
            }
            _ => Ok(None),
        }
    }

    fn request(&self, dict: &Bound<'_, PyDict>, request: &RequestScope) -> PyResult<()> {
        let py = dict.py();
        dict.set_item(intern!(py, "http_version"), version(py, request.version))?;
        let raw_path = request.raw_path();
        dict.set_item(
            intern!(py, "raw_path"),
            PyBytes::new(py, raw_path.as_bytes()),
        )?;
        let query = request.query();
        dict.set_item(
            intern!(py, "query_string"),
            PyBytes::new(py, query.as_bytes()),
        )?;
        if !request.root_path.is_empty() {
            dict.set_item(intern!(py, "root_path"), &*request.root_path)?;
        }
        dict.set_item(intern!(py, "state"), self.state.bind(py).copy()?)?;
        let mut kept = self
            .kept
            .lock_py_attached(py)
            .unwrap_or_else(PoisonError::into_inner);
        let Kept {
            client,
            server,
            features,
            path,
            names,
        } = &mut *kept;
        let headers = PyList::empty(py);
        for (index, (name, value)) in request.headers.iter().enumerate() {
            let name = field_name(py, names, index, name);
            headers.append((name, PyBytes::new(py, value.as_bytes())))?;
        }
        dict.set_item(intern!(py, "headers"), headers)?;
        dict.set_item(intern!(py, "client"), address(py, client, request.client)?)?;
        dict.set_item(intern!(py, "server"), address(py, server, request.server)?)?;
        if path.as_ref().is_none_or(|(kept, _)| kept != raw_path) {
            let decoded = PyString::new(py, &request.path()).unbind();
            *path = Some((raw_path.into(), decoded));
        }
        if let Some((_, path)) = path {
            dict.set_item(intern!(py, "path"), &*path)?;
        }
        if !features
            .as_ref()
            .is_some_and(|(kept, _)| *kept == request.features)
        {
            let offered = extensions(py, request.features, self.has_http_shutdown)?;
            *features = Some((request.features, offered));
        }
        if let Some((_, extensions)) = features {
            let extensions = extensions.bind(py).copy()?;
            if let Some(info) = &request.tls {
                extensions.set_item("tls", tls(py, info)?)?;
            }
            dict.set_item(intern!(py, "extensions"), extensions)?;
        }
        Ok(())
    }
}

fn versions<'py>(py: Python<'py>, spec_version: &str) -> PyResult<Bound<'py, PyDict>> {
    let versions = PyDict::new(py);
    versions.set_item("version", "3.0")?;
    versions.set_item("spec_version", spec_version)?;
    Ok(versions)
}

/// Returns the extensions of ASGI that are offered.
fn extensions(py: Python<'_>, features: Features, has_http_shutdown: bool) -> PyResult<Py<PyDict>> {
    let extensions = PyDict::new(py);
    for feature in features.iter() {
        // TLS has its information with it. Events of the others are not known to ASGI.
        let is_offered = match feature {
            Feature::Tls | Feature::Debug | Feature::PerMessageDeflate => false,
            Feature::Shutdown => has_http_shutdown,
            _ => true,
        };
        if is_offered {
            extensions.set_item(feature.name(), PyDict::new(py))?;
        }
    }
    Ok(extensions.unbind())
}

fn tls<'py>(py: Python<'py>, info: &TlsInfo) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("server_cert", &info.server_cert)?;
    dict.set_item("client_cert_chain", &info.client_cert_chain)?;
    dict.set_item("client_cert_name", &info.client_cert_name)?;
    dict.set_item("client_cert_error", &info.client_cert_error)?;
    dict.set_item("tls_version", info.tls_version)?;
    dict.set_item("cipher_suite", info.cipher_suite)?;
    Ok(dict)
}

fn address<'a>(
    py: Python<'_>,
    kept: &'a mut Option<(SocketAddr, Py<PyTuple>)>,
    address: Option<SocketAddr>,
) -> PyResult<Option<&'a Py<PyTuple>>> {
    let Some(address) = address else {
        return Ok(None);
    };
    if kept.as_ref().is_none_or(|(kept, _)| *kept != address) {
        let pair = (address.ip().to_string(), address.port()).into_pyobject(py)?;
        *kept = Some((address, pair.unbind()));
    }
    Ok(kept.as_ref().map(|(_, pair)| pair))
}

/// Returns the name of a field, in the object that is kept for its place if the request before had this name there.
fn field_name<'py>(
    py: Python<'py>,
    kept: &mut Vec<(HeaderName, Py<PyBytes>)>,
    index: usize,
    name: &HeaderName,
) -> Bound<'py, PyBytes> {
    let place = kept.get_mut(index);
    if let Some((_, octets)) = place.as_ref().filter(|(kept, _)| kept == name) {
        return octets.bind(py).clone();
    }
    let octets = PyBytes::new(py, name.as_str().as_bytes());
    let new = (name.clone(), octets.clone().unbind());
    match place {
        Some(place) => *place = new,
        None if index < MOST_NAMES => kept.push(new),
        None => {}
    }
    octets
}

pub(crate) fn method<'py>(py: Python<'py>, method: &Method) -> Bound<'py, PyString> {
    match *method {
        Method::GET => intern!(py, "GET").clone(),
        Method::POST => intern!(py, "POST").clone(),
        Method::HEAD => intern!(py, "HEAD").clone(),
        Method::PUT => intern!(py, "PUT").clone(),
        Method::DELETE => intern!(py, "DELETE").clone(),
        Method::OPTIONS => intern!(py, "OPTIONS").clone(),
        Method::PATCH => intern!(py, "PATCH").clone(),
        // ASGI has methods in upper case.
        _ => PyString::new(py, &method.as_str().to_uppercase()),
    }
}

pub(crate) fn scheme(py: Python<'_>, scheme: Scheme) -> &Bound<'_, PyString> {
    match scheme {
        Scheme::Http => intern!(py, "http"),
        Scheme::Https => intern!(py, "https"),
    }
}

fn version(py: Python<'_>, version: Version) -> &Bound<'_, PyString> {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => intern!(py, "1.0"),
        Version::HTTP_2 => intern!(py, "2"),
        Version::HTTP_3 => intern!(py, "3"),
        _ => intern!(py, "1.1"),
    }
}
