//! What is injected into the handlers of a call: who calls, the API as the caller may use it, and
//! the caller's installation.
//!
//! Connect's proxy says who calls, in header fields, after it has checked it. So the extension is
//! to be reached through the proxy only, as any extension is. The field that says where the API is
//! (`X-Connect-API-Gateway-Url`) is not read: nobody but the operator decides where keys are sent.

use std::fmt;

use axum::extract::{FromRef, FromRequestParts};
use http::StatusCode;
use http::request::Parts;
use serde::Deserialize;
use serde_json::Value;

use crate::api::Failure;
use crate::connect::{self, Api, Connect, Resource};
use crate::settings::Token;

/// Who calls, and from where: what the proxy says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct CallContext(Vec<(&'static str, String)>);

/// The header fields of a context, and what each is called.
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

/// The key of the caller's installation. A call without it is made with the extension's own.
const KEY: &str = "x-connect-installation-api-key";

impl CallContext {
    fn read(parts: &Parts) -> Result<Self, Failure> {
        let mut context = Self::default();
        for (field, name) in FIELDS {
            if let Some(value) = text(parts, field)? {
                context.0.push((name, value));
            }
        }
        Ok(context)
    }

    fn installation_id(&self) -> Result<&str, Failure> {
        let installation = self.0.iter().find(|(name, _)| *name == INSTALLATION);
        match installation {
            Some((_, id)) => Ok(id),
            None => {
                let message = "the header field x-connect-installation-id is missing";
                Err(Failure::new(StatusCode::UNPROCESSABLE_ENTITY, message))
            }
        }
    }

    /// Where the caller's installation is.
    pub(super) fn installation(&self, client: &Connect) -> Result<Resource, Failure> {
        let installations = client.ns("devops").collection("installations");
        Ok(installations.resource(self.installation_id()?))
    }

    /// Why the caller's installation is not to be had.
    pub(super) fn no_installation(&self, error: connect::Error) -> Failure {
        match self.installation_id() {
            Ok(id) if error.is_not_found() => {
                let message = format!("there is no installation `{id}`");
                Failure::new(StatusCode::NOT_FOUND, message)
            }
            _ => error.into(),
        }
    }
}

/// For the log.
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
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Self::read(parts)
    }
}

/// The API, asked with the key of the caller's installation.
#[derive(Debug)]
pub(super) struct InstallationClient(pub(super) Connect);

impl<S> FromRequestParts<S> for InstallationClient
where
    Api: FromRef<S>,
    S: Sync,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let key = text(parts, KEY)?.map(|key| Token::new(&key));
        let client = Api::from_ref(state).client(key.as_ref())?;
        Ok(Self(client))
    }
}

/// The installation of the caller, fetched for this call.
#[derive(Debug, Deserialize)]
pub(super) struct Installation {
    /// What the extension keeps there.
    pub(super) settings: Option<Value>,
}

impl<S> FromRequestParts<S> for Installation
where
    Api: FromRef<S>,
    S: Sync,
{
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let InstallationClient(client) =
            InstallationClient::from_request_parts(parts, state).await?;
        let context = CallContext::read(parts)?;
        let installation = context.installation(&client)?.get().await;
        installation.map_err(|error| context.no_installation(error))
    }
}

/// The value of a header field, if it is there and not empty.
fn text(parts: &Parts, field: &str) -> Result<Option<String>, Failure> {
    let Some(value) = parts.headers.get(field) else {
        return Ok(None);
    };
    let value = value.to_str().map_err(|_| {
        let message = format!("the header field {field} is not ASCII text");
        Failure::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    })?;
    Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty()))
}
