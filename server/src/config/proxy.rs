//! The settings of a server behind a proxy.

use super::kind::{One, Parsed, Shape};
use super::setting::settings;

settings! {
    /// What a proxy in front of the server does.
    proxy: Proxy {
        /// The path under which a proxy has mounted the application, such as /api.
        ///
        /// The server puts the path in front of the path of every request, and passes it as `root_path`.
        root_path => root_path: (String) = "/" as ROOT_PATH;
    }
}

const ROOT_PATH: One<String> = One {
    name: "PATH",
    shape: Shape::Text,
    parse: root_path,
    show: |path| {
        Some(if path.is_empty() {
            "/".into()
        } else {
            path.clone()
        })
    },
};

/// Reads a root path. The application's `root_path` does not end with `/`.
fn root_path(text: &str) -> Parsed<String> {
    let path = text.trim_end_matches('/');
    if !path.is_empty() && !path.starts_with('/') {
        Err("give a path that begins with `/`, such as /api")
    } else if path.contains(['?', '#']) {
        Err("give a path without `?` and `#`, such as /api")
    } else if path.contains(char::is_control) {
        Err("give a path without control characters, such as /api")
    } else {
        Ok(path.to_owned())
    }
}
