//! Variables of an events application: values that it keeps in memory and in Connect.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use callgate_drive::Escaped;
use serde::{Deserialize, Serialize};

use crate::connect::{CONNECT, ConnectApi, ConnectCollection, ConnectResource, Error};
use crate::log_text::with_causes;
use crate::settings::Settings;

/// The settings that name the environment of Connect which holds the variables.
const SERVICE: &str = "`--connect-service` or `CONNECT_SERVICE`";
const ENVIRONMENT: &str = "`--connect-environment` or `CONNECT_ENVIRONMENT`";

/// The first and the longest pause before the variables are fetched again.
const RETRY_PAUSES: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(300));

/// A variable and its initial value.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) initial_value: &'static str,
}

/// The values of the variables. If the settings name a service and an environment of Connect, that
/// environment holds them as well.
#[derive(Debug)]
pub(super) struct Variables {
    registered: Vec<Variable>,
    values: Mutex<BTreeMap<String, String>>,
    api: ConnectApi,
    service: Option<String>,
    environment: Option<String>,
}

impl Variables {
    pub(super) fn new(registered: &[Variable], api: ConnectApi, settings: &Settings) -> Self {
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

    /// Returns the value of a variable; an empty text if the variable is not registered.
    pub(super) fn get(&self, name: &str) -> String {
        self.locked(|values| values.get(name).cloned().unwrap_or_default())
    }

    /// Returns all variables.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        self.locked(|values| values.clone())
    }

    /// Sets a variable, first in Connect, then in memory.
    ///
    /// # Errors
    ///
    /// Returns the errors of Connect. The value in memory is then unchanged.
    pub(super) async fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Payload<'a> {
            value: &'a str,
        }
        if let Some(variables) = self.remote()? {
            variables.resource(name).update(&Payload { value }).await?;
        }
        self.store(name, value);
        Ok(())
    }

    /// Stores the value of a variable in memory. A variable that is not registered is ignored.
    pub(super) fn store(&self, name: &str, value: &str) {
        self.locked(|values| {
            if let Some(old) = values.get_mut(name) {
                value.clone_into(old);
            }
        });
    }

    /// Fetches the values from Connect, and creates the variables that Connect does not have.
    pub(super) async fn synchronise(&self) -> Result<(), Error> {
        #[derive(Deserialize)]
        struct VariableValue {
            value: String,
        }
        #[derive(Serialize)]
        struct NewVariable {
            #[serde(flatten)]
            variable: Variable,
            secure: bool,
        }
        let Some(remote) = self.remote()? else {
            if let Err(reason) = self.environment() {
                tracing::debug!(
                    "The variables of `events` are in memory only, not in Connect: {}",
                    Escaped(reason)
                );
            }
            return Ok(());
        };
        for &variable in &self.registered {
            match remote.resource(variable.name).get::<VariableValue>().await {
                Ok(VariableValue { value }) => self.store(variable.name, &value),
                Err(error) if error.is_not_found() => {
                    let secure = false;
                    remote.create(&NewVariable { variable, secure }).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Synchronises again after a failure, until it succeeds.
    pub(super) async fn keep_synchronising(&self, mut failure: Option<Error>) {
        let (mut pause, longest) = RETRY_PAUSES;
        while let Some(error) = failure {
            tracing::warn!(
                "The variables of `events` are fetched again in {} s: {}",
                pause.as_secs(),
                Escaped(with_causes(&error))
            );
            tokio::time::sleep(pause).await;
            failure = self.synchronise().await.err();
            pause = longest.min(pause * 2);
        }
    }

    /// Returns the collection of the variables in Connect; `None` if a setting is missing.
    fn remote(&self) -> Result<Option<ConnectCollection>, Error> {
        match self.environment() {
            Ok(environment) => Ok(Some(environment.collection("variables"))),
            Err(Error::NotSet(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the environment of Connect that holds the variables.
    ///
    /// # Errors
    ///
    /// Returns [`Error::NotSet`] if a setting is missing, and [`Error::Key`]. A stand-in has no environments.
    pub(super) fn environment(&self) -> Result<ConnectResource, Error> {
        if self.api.is_stand_in() {
            return Err(Error::NotSet(CONNECT.setting));
        }
        let connect = self.api.client(None)?;
        let service = self.service.as_ref().ok_or(Error::NotSet(SERVICE))?;
        let environment = self.environment.as_ref();
        let environment = environment.ok_or(Error::NotSet(ENVIRONMENT))?;
        let services = connect.ns("devops").collection("services");
        let environments = services.resource(service).collection("environments");
        Ok(environments.resource(environment))
    }

    fn locked<T>(&self, work: impl FnOnce(&mut BTreeMap<String, String>) -> T) -> T {
        work(&mut self.values.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
