//! The response in place of the application's.

use callgate_drive::ResponseBody;
use http::{Response, StatusCode};

/// Creates the response of this status.
pub(super) fn replacement(status: StatusCode) -> Response<ResponseBody> {
    let (head, body) = callgate_drive::replacement(status);
    head.into_response(body)
}
