//! The rules of `overview.md` under Scopes.

use callgate::{
    AppError, HttpRequestBody, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope,
    Sender, rule,
};
use http::{Method, Version};

use crate::app_suite::case::{Case, NotPassed};
use crate::driver::ClientScript;

/// The target below the prefix. A mount must not decode its escape.
const TARGET: &str = "/a%2Fb?c=d";

pub(super) const CASES: &[Case] = &[Case::steps(
    rule::MOUNT,
    "mounted_probe",
    "Requests a target below the prefix at which the application mounts a probe, with and without a root path.",
    "The root path of the probe's scope ends with the prefix, and its target is the target of the request.",
    |runner| {
        let Some(prefix) = runner.options.mount.clone() else {
            return Err(NotPassed::not_applicable(
                "the suite cannot see what an application mounts (see `mounts_probe_at`)",
            ));
        };
        let prefix = prefix.trim_end_matches('/');
        for root_path in ["", "/outside"] {
            let target = format!("{root_path}{prefix}{TARGET}");
            let script = runner.build(|builder| {
                let mut scope = builder.scope(Method::GET, &target, Version::HTTP_11);
                scope.root_path = root_path.into();
                ClientScript::new(
                    scope,
                    [ReceiveEvent::HttpRequestBody(HttpRequestBody::default())],
                )
            })?;
            let observation = runner.run(script)?;
            let content = observation.output.content.kept();
            let Ok(Scope::Http(mounted)) = serde_json::from_slice(content) else {
                return Err(NotPassed::not_applicable(format!(
                    "the application that is mounted at `{prefix}` does not respond with its scope"
                )));
            };
            let expected = format!("{root_path}{prefix}");
            if *mounted.root_path != *expected {
                let seen = format!(
                    "the root path was `{}`, not `{expected}`",
                    mounted.root_path
                );
                return Err(observation.fail(seen).into());
            }
            if mounted.uri != *target {
                let seen = format!("the target was `{}`, not `{target}`", mounted.uri);
                return Err(observation.fail(seen).into());
            }
        }
        Ok(())
    },
)];

/// Responds to every request with its scope, in the serialised form as JSON. Mounted in another
/// application, it shows to the suite how that application mounts others
/// ([`AppOptions::mounts_probe_at`](crate::AppOptions::mounts_probe_at)).
///
/// # Errors
///
/// Returns [`AppError::Unsupported`] for every kind of scope but HTTP, or the error of a send.
pub async fn scope_probe(
    scope: Scope,
    _receiver: Receiver,
    sender: Sender,
) -> Result<(), AppError> {
    let Scope::Http(_) = scope else {
        return Err(AppError::Unsupported);
    };
    let json = serde_json::to_vec(&scope)?;
    let start = HttpResponseStart::ok().header("content-type", "application/json");
    sender.send(start).await?;
    sender.send(HttpResponseBody::last(json)).await?;
    Ok(())
}
