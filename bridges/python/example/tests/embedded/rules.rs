//! An application in Python keeps the rules of applications that ASGI shares.

use callgate_conformance::{AppOptions, app_tests};
use callgate_python::EventLoop;

app_tests!(
    super::raw(EventLoop::Auto).unwrap(),
    AppOptions::new().path("/echo").asgi(true)
);
