//! For applications that are there to be read.

use callgate::{AppError, HttpScope, Sender};
use http::Method;

use crate::failures;

/// Whether `method` only reads: the server leaves the content away for HEAD by itself.
pub(crate) fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Answers any other method.
pub(crate) async fn not_allowed(scope: &HttpScope, sender: &Sender) -> Result<(), AppError> {
    failures::refuse(scope, sender, failures::method_not_allowed("GET, HEAD")).await
}
