//! Makes a page of rustdoc of each document of the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{env, fs, io};

/// The guides: their Rust is compiled as doctests of this crate.
const GUIDES: [(&str, &str); 5] = [
    ("guides::coming_from_axum", "docs/coming-from-axum.md"),
    ("guides::deploy", "docs/deploy.md"),
    ("guides::porting_from_asgi", "docs/porting-from-asgi.md"),
    ("guides::recipes", "docs/recipes.md"),
    ("guides::scale", "docs/scale.md"),
];

/// The other documents: `cargo xtask readme` and the crates themselves compile their Rust.
const DOCUMENTS: [(&str, &str); 24] = [
    ("apps", "apps/README.md"),
    ("architecture", "ARCHITECTURE.md"),
    ("benches::notes", "benches/NOTES.md"),
    ("benches::results", "benches/RESULTS.md"),
    ("bridges::python", "bridges/python/README.md"),
    ("bridges::tower", "bridges/tower/README.md"),
    ("changelog", "CHANGELOG.md"),
    ("channels::overview", "channels/README.md"),
    ("channels::reliability", "channels/RELIABILITY.md"),
    ("channels::rules", "channels/docs/channels.md"),
    ("conformance::overview", "conformance-tests/README.md"),
    ("conformance::results", "conformance-tests/RESULTS.md"),
    ("contributing", "CONTRIBUTING.md"),
    ("drive", "drive/README.md"),
    ("http1", "http1/README.md"),
    ("inspector", "inspector/README.md"),
    ("protocol", "spec/README.md"),
    ("readme", "README.md"),
    ("security", "SECURITY.md"),
    ("server::metrics", "server/METRICS.md"),
    ("server::overview", "server/README.md"),
    ("server::reliability", "server/RELIABILITY.md"),
    ("server::settings", "server/SETTINGS.md"),
    ("toolkit", "toolkit/README.md"),
];

/// The titles of the pages that belong together.
const GROUPS: [(&str, &str); 6] = [
    (
        "benches",
        "How fast the server is beside others, and what stands behind the figures.",
    ),
    ("bridges", "Services and applications of other libraries."),
    (
        "channels",
        "The channel layer: groups, presence and direct messages.",
    ),
    (
        "conformance",
        "The checks of applications and servers, and the results of other servers.",
    ),
    (
        "guides",
        "Guides: where to begin, how something is done, how it is deployed.",
    ),
    (
        "server",
        "The reference server: its settings, its metrics, and what it withstands.",
    ),
];

fn main() -> io::Result<()> {
    let target = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let mut groups: BTreeMap<&str, String> = BTreeMap::new();
    for (module, file) in GUIDES.into_iter().chain(DOCUMENTS) {
        let source = Path::new("..").join(file);
        println!("cargo::rerun-if-changed={}", source.display());
        let page = Path::new(&target).join(module.replace("::", "."));
        let text = fs::read_to_string(source)?;
        fs::write(&page, for_rustdoc(&text, module, file))?;

        // Tests of this crate do not need the other documents. GitHub makes links of addresses in them.
        let (group, name) = module.split_once("::").unwrap_or(("", module));
        let condition = match group {
            "guides" => "",
            _ => "#[cfg(all(doc, not(doctest)))]\n#[allow(rustdoc::bare_urls)]\n",
        };
        let aliases: String = headings(&text)
            .iter()
            .map(|heading| format!("#[doc(alias = {heading:?})]\n"))
            .collect();
        let path = page.display().to_string();
        let pages = groups.entry(group).or_default();
        pages.push_str(&format!(
            "{condition}{aliases}#[doc = include_str!({path:?})]\npub mod {name} {{}}\n"
        ));
    }
    let mut code = String::new();
    for (group, pages) in groups {
        match group {
            "" => code.push_str(&pages),
            _ => {
                let (_, title) = GROUPS
                    .iter()
                    .find(|(name, _)| *name == group)
                    .expect("a title");
                code.push_str(&format!("/// {title}\npub mod {group} {{\n{pages}}}\n"));
            }
        }
    }
    fs::write(Path::new(&target).join("pages.rs"), code)
}

/// Returns the headings of a document as words: the search of rustdoc takes neither quotes nor hyphens.
fn headings(text: &str) -> BTreeSet<String> {
    let mut is_code = false;
    let mut headings = BTreeSet::new();
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if !is_code && heading.len() < line.len() && heading.starts_with(' ') {
            let words = heading.split(|c: char| !c.is_alphanumeric());
            let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
            headings.insert(words.join(" "));
        }
    }
    headings
}

/// Returns the text of a file with the addresses that its links have on the page of a module.
fn for_rustdoc(text: &str, module: &str, file: &str) -> String {
    let mut result = String::new();
    let mut is_code = false;
    for line in text.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let mut rest = line;
        while let Some((before, link)) = rest.split_once("](")
            && !is_code
        {
            result.push_str(before);
            result.push_str("](");
            rest = link;
            if let Some((target, after)) = link.split_once(')') {
                result.push_str(&address(target, module, file));
                result.push(')');
                rest = after;
            }
        }
        result.push_str(rest);
        result.push('\n');
    }
    result
}

fn address(target: &str, module: &str, file: &str) -> String {
    if target.starts_with('#') || target.contains("://") {
        return target.to_owned();
    }
    let (path, fragment) = target.split_once('#').unwrap_or((target, ""));
    let fragment = match fragment {
        "" => String::new(),
        _ => format!("#{fragment}"),
    };
    let path = resolve(file, path);
    let root = "../".repeat(module.split("::").count());
    let page = GUIDES
        .iter()
        .chain(&DOCUMENTS)
        .find(|(_, file)| *file == path);
    if let Some((module, _)) = page {
        return format!("{root}{}/index.html{fragment}", module.replace("::", "/"));
    }
    if let Some(document) = path
        .strip_prefix("spec/docs/")
        .and_then(|path| path.strip_suffix(".md"))
    {
        let document = document.replace('-', "_");
        return format!("{root}../callgate/documents/{document}/index.html{fragment}");
    }
    // What is not a document is in the repository alone.
    format!(
        "{}/blob/main/{path}{fragment}",
        env!("CARGO_PKG_REPOSITORY")
    )
}

/// Returns the path in the repository that `link` in `file` leads to.
fn resolve(file: &str, link: &str) -> String {
    let mut parts: Vec<_> = file.split('/').collect();
    parts.pop();
    for part in link.split('/').filter(|part| !matches!(*part, "" | ".")) {
        match part {
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    let is_folder = Path::new("..").join(&path).join("README.md").exists();
    match is_folder {
        true => format!("{path}/README.md"),
        false => path,
    }
}
