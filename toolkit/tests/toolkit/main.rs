//! Each module of the toolkit, through its test client.


use callgate::{AppError, Scope};

/// The scope of an HTTP exchange; anything else is declined.
fn http(scope: Scope) -> Result<Box<callgate::HttpScope>, AppError> {
    match scope {
        Scope::Http(scope) => Ok(scope),
        _ => Err(AppError::Unsupported),
    }
}
