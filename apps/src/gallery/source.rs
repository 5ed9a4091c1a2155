//! The page with the source of an application.

use callgate::{AppError, HttpScope, Sender};
use callgate_toolkit::respond;

use super::Exhibit;
use crate::page::{self, escape};
use crate::{Entry, http_errors, method};

const PAGE: &str = include_str!("source.html");

/// Sends the source of the application of this name, with line numbers.
pub(super) async fn send(
    scope: &HttpScope,
    sender: &Sender,
    name: &str,
    exhibits: &[Exhibit],
) -> Result<(), AppError> {
    let exhibit = exhibits.iter().find(|exhibit| exhibit.entry.name == name);
    let Some(Exhibit { entry, .. }) = exhibit else {
        return http_errors::respond(scope, sender, &http_errors::not_found()).await;
    };
    if !method::is_get_or_head(&scope.method) {
        return method::not_allowed(scope, sender).await;
    }
    respond::html(render(entry)).send(sender).await
}

fn render(Entry { name, source, .. }: &Entry) -> String {
    let file = format!("apps/src/{}.rs", name.replace('-', "_"));
    let lines: String = source
        .lines()
        .zip(1..)
        .map(|(line, number)| format!("<span id=\"L{number}\">{}\n</span>", escape(line)))
        .collect();
    page::compose(PAGE)
        .replace("{{name}}", name)
        .replace("{{file}}", &file)
        // The last, because a source may have placeholders of its own.
        .replace("{{lines}}", &lines)
}
