//! Request methods of applications that only serve reads.

use callgate::{AppError, HttpScope, Sender};
use http::Method;

use crate::http_errors;

/// Returns whether `method` is GET or HEAD. The server leaves out the content for HEAD.
pub(crate) fn is_get_or_head(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Answers a request with another method than GET and HEAD: 405.
pub(crate) async fn not_allowed(scope: &HttpScope, sender: &Sender) -> Result<(), AppError> {
    let error = http_errors::method_not_allowed("GET, HEAD");
    http_errors::respond(scope, sender, &error).await
}
