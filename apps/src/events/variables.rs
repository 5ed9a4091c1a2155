//! Variables: what an application remembers, here and in Connect.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::connect::{Api, Collection, Error, Resource};
use crate::settings::Settings;

/// The settings without which it is not known whose variables they are.
const SERVICE: &str = "--connect-service or CONNECT_SERVICE";
const ENVIRONMENT: &str = "--connect-environment or CONNECT_ENVIRONMENT";

/// How long after a failure Connect is asked again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// A variable, and what it is before it is set.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) initial_value: &'static str,
}

/// The values of variables. Those of a service and environment of Connect, where both are set; else
/// they are kept here only.
#[derive(Debug)]
pub(super) struct Variables {
    registered: Vec<Variable>,
    values: Mutex<BTreeMap<String, String>>,
    api: Api,
    service: Option<String>,
    environment: Option<String>,
}

impl Variables {
    pub(super) fn new(registered: &[Variable], api: Api, settings: &Settings) -> Self {
        let initial = registered
            .iter()
            .map(|variable| (variable.name.to_owned(), variable.initial_value.to_owned()));
        Self {
            registered: registered.to_vec(),
            values: Mutex::new(initial.collect()),
            api,
            service: settings.connect_service.clone(),
            environment: settings.connect_environment.clone(),
        }
    }

    /// The value of a variable that is registered; of any other it is empty.
    pub(super) fn get(&self, name: &str) -> String {
        self.with(|values| values.get(name).cloned().unwrap_or_default())
    }

    /// All of them.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.with(|values| values.clone())
    }

    /// Sets a variable, in Connect first.
    ///
    /// # Errors
    ///
    /// Those of Connect; then the value is as it was.
    pub(super) async fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Payload<'a> {
            value: &'a str,
        }
        if let Some(variables) = self.upstream()? {
            variables.resource(name).update(&Payload { value }).await?;
        }
        self.note(name, value);
        Ok(())
    }

    /// Takes note that a variable has this value now. One that is not registered is left out.
    pub(super) fn note(&self, name: &str, value: &str) {
        self.with(|values| {
            if let Some(old) = values.get_mut(name) {
                value.clone_into(old);
            }
        });
    }

    /// Fetches the values from Connect, and creates there what it does not have.
    pub(super) async fn synchronise(&self) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct Found {
            value: String,
        }
        #[derive(Serialize)]
        struct New {
            #[serde(flatten)]
            variable: Variable,
            secure: bool,
        }
        let Some(upstream) = self.upstream()? else {
            if let Err(reason) = self.environment() {
                tracing::info!(
                    "The variables of `events` are kept here and not in Connect: {reason}"
                );
            }
            return Ok(());
        };
        for &variable in &self.registered {
            match upstream.resource(variable.name).get::<Found>().await {
                Ok(found) => self.note(variable.name, &found.value),
                Err(error) if error.is_not_found() => {
                    let secure = false;
                    upstream.create(&New { variable, secure }).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Synchronises after a first failure, until that succeeds.
    pub(super) async fn keep_synchronising(&self, mut failure: Option<Error>) {
        let (mut pause, longest) = PAUSES;
        while let Some(error) = failure {
            tracing::warn!(
                "Variables have the values that they had, and are fetched again in {} s: {error}",
                pause.as_secs()
            );
            tokio::time::sleep(pause).await;
            failure = self.synchronise().await.err();
            pause = longest.min(pause * 2);
        }
    }

    /// Where Connect has them, if it has.
    fn upstream(&self) -> Result<Option<Collection>, Error> {
        match self.environment() {
            Ok(environment) => Ok(Some(environment.collection("variables"))),
            Err(Error::NotSet(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The environment that they are of.
    ///
    /// # Errors
    ///
    /// [`Error::NotSet`] for want of a setting; [`Error::Key`].
    pub(super) fn environment(&self) -> Result<Resource, Error> {
        let connect = self.api.client(None)?;
        let service = self.service.as_ref().ok_or(Error::NotSet(SERVICE))?;
        let environment = self.environment.as_ref();
        let environment = environment.ok_or(Error::NotSet(ENVIRONMENT))?;
        let services = connect.ns("devops").collection("services");
        let environments = services.resource(service).collection("environments");
        Ok(environments.resource(environment))
    }

    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        work(&mut self.values.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
