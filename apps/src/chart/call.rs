//! Extractors for the handlers of `chart`: the caller, the API with the caller's key, and the caller's
//! installation.
//!
//! Connect's proxy authenticates the caller and adds header fields that name the caller. So clients
//! must reach the extension through the proxy only, as they do any extension. The field with the URL of
//! the API (`X-Connect-API-Gateway-Url`) is ignored: only the operator decides where keys are sent.

use std::fmt;

use axum::extract::{FromRef, FromRequestParts};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use serde_json::Value;

use crate::api::ApiError;
use crate::connect::{self, ConnectApi, ConnectClient, ConnectResource};
use crate::settings::Token;

/// The caller, as the header fields of the proxy name it.
#[derive(Clone, Debug, Default)]
pub(super) struct CallContext(Vec<(&'static str, String)>);

/// The header fields of a context, and the name of each in the log.
const FIELDS: [(&str, &str); 10] = [
    ("x-connect-installation-id", INSTALLATION),
    ("x-connect-user-id", "user"),
    ("x-connect-account-id", "account"),
    ("x-connect-account-role", "role"),
    ("x-connect-call-type", "type"),
    ("x-connect-call-source", "source"),
    ("x-connect-extension-id", "extension"),
    ("x-connect-environment-id", "environment"),
    ("x-connect-environment-type", "environment type"),
    ("x-connect-tier-account-id", "tier account"),
];

const INSTALLATION: &str = "installation";

/// The field with the key of the caller's installation. Without it, the key of the extension is used.
const KEY: &str = "x-connect-installation-api-key";

impl CallContext {
    fn read(parts: &Parts) -> Result<Self, ApiError> {
        let mut context = Self::default();
        for (field, name) in FIELDS {
            if let Some(value) = text(parts, field)? {
                context.0.push((name, value));
            }
        }
        Ok(context)
    }

    fn installation_id(&self) -> Result<&str, ApiError> {
        let installation = self.0.iter().find(|(name, _)| *name == INSTALLATION);
        match installation {
            Some((_, id)) => Ok(id),
            None => {
                let message = "the header field x-connect-installation-id is missing";
                Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message))
            }
        }
    }

    /// Returns the caller's installation.
    pub(super) fn installation(&self, client: &ConnectClient) -> Result<ConnectResource, ApiError> {
        let installations = client.ns("devops").collection("installations");
        Ok(installations.resource(self.installation_id()?))
    }

    /// Returns the error response for an installation that cannot be fetched or changed.
    pub(super) fn installation_error(&self, error: connect::Error) -> ApiError {
        match self.installation_id() {
            Ok(id) if error.is_not_found() => {
                let message = format!("there is no installation `{id}`");
                ApiError::new(StatusCode::NOT_FOUND, message)
            }
            _ => error.into(),
        }
    }
}

/// Writes the context for the log.
impl fmt::Display for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {value}")?;
        }
        Ok(())
    }
}

impl<S: Sync> FromRequestParts<S> for CallContext {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::read(parts)
    }
}

/// A client for the API that sends the key of the caller's installation.
#[derive(Debug)]
pub(super) struct InstallationClient(pub(super) ConnectClient);

impl<S> FromRequestParts<S> for InstallationClient
where
    ConnectApi: FromRef<S>,
    S: Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let key = text(parts, KEY)?.map(|key| Token::new(&key));
        let client = ConnectApi::from_ref(state).client(key.as_ref())?;
        Ok(Self(client))
    }
}

/// The caller's installation, fetched for each call.
#[derive(Debug, Deserialize)]
pub(super) struct Installation {
    /// The settings of the extension, which the installation holds.
    pub(super) settings: Option<Value>,
}

impl<S> FromRequestParts<S> for Installation
where
    ConnectApi: FromRef<S>,
    S: Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let InstallationClient(client) =
            InstallationClient::from_request_parts(parts, state).await?;
        let context = CallContext::read(parts)?;
        let installation = context.installation(&client)?.get().await;
        installation.map_err(|error| context.installation_error(error))
    }
}

/// Returns the value of a header field; `None` if it is missing or empty.
fn text(parts: &Parts, field: &str) -> Result<Option<String>, ApiError> {
    let Some(value) = parts.headers.get(field) else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| {
        let message = format!("the header field {field} is not ASCII text");
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    })?;
    Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
}
