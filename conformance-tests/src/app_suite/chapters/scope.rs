//! What a scope says: the rules of `overview.md` under Scopes.

use callgate::{
    AppError, HttpRequestBody, HttpResponseBody, HttpResponseStart, ReceiveEvent, Receiver, Scope,
    Sender, rule,
};
use http::{Method, Version};

use crate::Verdict;
use crate::app_suite::case::{Case, judged, not_applicable};
use crate::app_suite::stage::{Reason, Stage};
use crate::driver::Plan;

pub(super) const CASES: &[Case] = &[judged(
    rule::MOUNT,
    "mounted_probe",
    "Asks for what is below the prefix at which the application mounts a probe, with and without a root path of its own.",
    "The probe is called with the prefix behind the root path, and with the target as it was.",
    mount,
)];

/// An application that answers every request with its scope, in its serialised form as JSON: to be mounted in an application whose mounting is checked
/// ([`AppOptions::mounts_probe_at`](crate::AppOptions::mounts_probe_at)).
///
/// # Errors
///
/// [`AppError::Unsupported`] for anything but HTTP; a failed send.
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

/// What is asked for below the prefix: with an escape, which a mount must not touch.
const BELOW: &str = "/a%2Fb?c=d";

fn mount(stage: &mut Stage) -> Result<Verdict, Reason> {
    let Some(prefix) = stage.options.mount.clone() else {
        return Ok(not_applicable(
            "what an application mounts cannot be seen from outside (see `mounts_probe_at`)",
        ));
    };
    let prefix = prefix.trim_end_matches('/');
    for root_path in ["", "/outside"] {
        let target = format!("{root_path}{prefix}{BELOW}");
        let plan = stage.plan(|make| {
            let mut scope = make.scope(Method::GET, &target, Version::HTTP_11);
            scope.root_path = root_path.into();
            Plan::new(
                scope,
                [ReceiveEvent::HttpRequestBody(HttpRequestBody::default())],
            )
        })?;
        let played = stage.play(plan)?;
        let Ok(Scope::Http(inside)) = serde_json::from_slice(&played.answer.content.beginning)
        else {
            let why = format!("what is mounted at `{prefix}` does not answer with its scope");
            return Ok(not_applicable(why));
        };
        let expected = format!("{root_path}{prefix}");
        if *inside.root_path != *expected {
            let seen = format!("the root path was `{}`, not `{expected}`", inside.root_path);
            return Ok(played.fail(seen).into());
        }
        if inside.uri != *target {
            let seen = format!("the target was `{}`, not `{target}`", inside.uri);
            return Ok(played.fail(seen).into());
        }
    }
    Ok(Verdict::Passed)
}
