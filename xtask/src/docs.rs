//! `cargo xtask docs`: the libraries and the documents as one site of rustdoc, whose links are checked.

mod files;
mod pages;

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::step::{Step, shown, target};

/// The page that the address of the site leads to.
const ENTRY: &str = "<!doctype html><meta charset=utf-8><title>Callgate</title>\
    <meta http-equiv=refresh content=\"0; url=callgate_docs/index.html\">\
    <a href=\"callgate_docs/index.html\">The documents of Callgate</a>\n";

/// The libraries that others have links to.
const LIBRARIES: [&str; 11] = [
    "callgate",
    "callgate_channels",
    "callgate_cli",
    "callgate_conformance",
    "callgate_drive",
    "callgate_http1",
    "callgate_inspector",
    "callgate_python",
    "callgate_server",
    "callgate_toolkit",
    "callgate_tower",
];

/// Builds the site, and checks the links of its pages and of the documents in the repository.
///
/// # Errors
///
/// Returns the command that fails, or every link that leads nowhere.
pub(crate) fn run() -> Result<(), String> {
    let mut broken = files::broken_links()?;
    let site = target()?.join("doc");
    // Pages of items that are gone would keep links to them whole.
    if site.exists() {
        fs::remove_dir_all(&site).map_err(|reason| reason.to_string())?;
    }
    // rustdoc writes links to the crates whose folder is there, and the crates are documented in parallel.
    for name in LIBRARIES {
        fs::create_dir_all(site.join(name)).map_err(|reason| reason.to_string())?;
    }
    Step::new(
        "cargo doc",
        "cargo doc --workspace --exclude callgate-benches --exclude callgate-python-example --exclude callgate-soak \
         --exclude xtask --no-deps --all-features",
    )
    .env("RUSTDOCFLAGS", "-D warnings")
    .run()?;
    let entry = site.join("index.html");
    fs::write(&entry, ENTRY).map_err(|reason| reason.to_string())?;
    broken.extend(pages::broken_links(&site)?);
    if !broken.is_empty() {
        let number = broken.len();
        return Err(format!("{number} broken links:\n  {}", broken.join("\n  ")));
    }
    println!("The site is at {}", shown(&entry));
    Ok(())
}

/// Returns the path that a relative `link` in the file `from` leads to.
fn resolve(from: &Path, link: &str) -> PathBuf {
    let mut path = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            part => path.push(part),
        }
    }
    path
}
