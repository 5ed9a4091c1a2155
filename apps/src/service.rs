//! The services outside of the program that applications call.

use callgate::{App, AppError, BoxApp, Receiver, Scope, Sender};

use crate::Settings;

/// A service that an application calls. Where no setting names it, a stand-in inside the program answers.
#[derive(Debug)]
#[non_exhaustive]
pub struct Service {
    /// What the service is, such as `the billing service (Autumn)`.
    pub name: &'static str,
    /// The setting that makes the application call it, as text with code in backticks.
    pub setting: &'static str,
    /// Returns whether these settings make the application call it.
    pub is_set: fn(&Settings) -> bool,
}

/// Whether the program can call a service at a URL.
const HAS_CLIENTS: bool = cfg!(feature = "clients");

impl Service {
    /// Returns the sentences that say that a stand-in answers; `None` if these settings name the service.
    #[must_use]
    pub fn stand_in_notice(&self, settings: &Settings) -> Option<String> {
        (!(self.is_set)(settings)).then(|| self.notice())
    }

    /// Returns the sentences that say that a stand-in answers.
    pub(crate) fn notice(&self) -> String {
        let Self { name, setting, .. } = self;
        let remedy = if HAS_CLIENTS {
            ""
        } else {
            ", in a program that is built with `--features clients`"
        };
        format!(
            "A stand-in inside this program answers for {name}. {setting} names the real one{remedy}."
        )
    }

    /// Wraps `app`, which calls the service. Its start-up fails if these settings name the service and the
    /// program was built without clients.
    pub(crate) fn require_client(&'static self, app: impl App, settings: &Settings) -> BoxApp {
        self.require(HAS_CLIENTS, app, settings)
    }

    fn require(&'static self, has_clients: bool, app: impl App, settings: &Settings) -> BoxApp {
        if has_clients || !(self.is_set)(settings) {
            return BoxApp::new(app);
        }
        let app = BoxApp::new(app);
        BoxApp::new(move |scope: Scope, receiver: Receiver, sender: Sender| {
            let app = app.clone();
            async move {
                match scope {
                    Scope::Lifespan(_) => Err(AppError::failed(self.without_client())),
                    scope => app.call(scope, receiver, sender).await,
                }
            }
        })
    }

    fn without_client(&self) -> String {
        format!(
            "cannot call {}: this program was built without a client of HTTP: build it with `--features clients` \
             (without its settings, a stand-in answers)",
            self.name
        )
    }
}

#[cfg(test)]
mod tests {
    use callgate_toolkit::respond;
    use callgate_toolkit::test_client::{Error, TestClient};
    use http::StatusCode;

    use super::*;

    static SHOP: Service = Service {
        name: "the shop",
        setting: "--upstream-url",
        is_set: |settings| settings.upstream_url.is_some(),
    };

    async fn app(scope: Scope, _: Receiver, sender: Sender) -> Result<(), AppError> {
        match scope {
            Scope::Http(_) => Ok(respond::text("served").send(&sender).await?),
            _ => Err(AppError::Unsupported),
        }
    }

    #[tokio::test]
    async fn only_a_program_without_clients_whose_service_is_named_fails_to_start() {
        let named = Settings {
            upstream_url: Some("http://127.0.0.1:9/".parse().unwrap()),
            ..Settings::default()
        };
        for (has_clients, settings, starts) in [
            (false, &named, false),
            (true, &named, true),
            (false, &Settings::default(), true),
        ] {
            let started = TestClient::start(SHOP.require(has_clients, app, settings)).await;
            let reason = match started {
                Ok(client) => {
                    assert!(starts, "{has_clients} {settings:?}");
                    let response = client.get("/").send().await.unwrap();
                    assert_eq!(response.status(), StatusCode::OK);
                    continue;
                }
                Err(Error::Lifespan(reason)) => reason,
                Err(error) => panic!("{error}"),
            };
            assert!(!starts, "{reason}");
            assert_eq!(
                reason,
                "cannot call the shop: this program was built without a client of HTTP: build it with `--features \
                 clients` (without its settings, a stand-in answers)"
            );
        }
    }
}
