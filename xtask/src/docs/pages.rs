//! The links between the pages of the site.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Returns each link between pages of the site that leads to no page or to no anchor.
pub(super) fn broken_links(site: &Path) -> Result<Vec<String>, String> {
    let mut pages = BTreeMap::new();
    read(site, site, &mut pages).map_err(|reason| format!("cannot read the site: {reason}"))?;
    println!("{} pages", pages.len());
    Ok(broken(&pages, |path| site.join(path).exists()))
}

/// Reads the pages of a folder, and of the folders in it.
fn read(site: &Path, folder: &Path, pages: &mut BTreeMap<PathBuf, Page>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read(site, &path, pages)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            let name = path.strip_prefix(site).expect("the folder is in the site");
            pages.insert(name.to_owned(), Page::of(&fs::read_to_string(&path)?));
        }
    }
    Ok(())
}

/// Begins the last section of the page of a type.
const BLANKET: &str = "id=\"blanket-implementations-list\"";

/// What links of a page lead to, and what links to it may lead to.
struct Page {
    links: BTreeSet<String>,
    anchors: BTreeSet<String>,
    is_redirect: bool,
}

impl Page {
    fn of(html: &str) -> Self {
        // The documentation of blanket implementations comes from other crates, with links that are whole there.
        let own = html.split(BLANKET).next().unwrap_or_default();
        Self {
            links: attributes(own, " href=\""),
            anchors: attributes(html, " id=\""),
            is_redirect: html.contains("<title>Redirection</title>"),
        }
    }
}

/// Returns the values of an attribute. In text and in other values, rustdoc escapes the quotes.
fn attributes(html: &str, begin: &str) -> BTreeSet<String> {
    let values = html.split(begin).skip(1);
    let values = values.filter_map(|rest| Some(rest.split_once('"')?.0));
    values.map(|value| value.replace("&amp;", "&")).collect()
}

fn broken(pages: &BTreeMap<PathBuf, Page>, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for (name, page) in pages {
        // The links of a listing are all made by rustdoc.
        if name.starts_with("src") {
            continue;
        }
        for link in &page.links {
            // rustdoc has found `http::HeaderMap`, in a crate that has no pages here.
            let is_elsewhere = link.contains("://") || link.contains("::");
            if is_elsewhere || link.starts_with("javascript:") {
                continue;
            }
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => name.clone(),
                _ => super::resolve(name, path),
            };
            let is_whole = match pages.get(&target) {
                // The fragments that lead into a listing are ranges of lines, which are no anchors.
                Some(_) if fragment.is_empty() || target.starts_with("src") => true,
                Some(page) => {
                    let page = redirected(pages, &target, page).unwrap_or(page);
                    page.anchors.contains(fragment)
                }
                None => exists(&target),
            };
            if !is_whole {
                broken.push(format!("{}: {link}", name.display()));
            }
        }
    }
    broken
}

/// Returns the page that the page `name` redirects to, with the fragment: rustdoc has such pages for items of
/// private modules.
fn redirected<'a>(
    pages: &'a BTreeMap<PathBuf, Page>,
    name: &Path,
    page: &Page,
) -> Option<&'a Page> {
    let link = page.links.first().filter(|_| page.is_redirect)?;
    pages.get(&super::resolve(name, link))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken_in(html: &str) -> Vec<String> {
        let pages = [("a/b/index.html", html), ("a/c.html", "<h2 id=\"there\">")];
        let pages = pages.map(|(name, html)| (PathBuf::from(name), Page::of(html)));
        broken(&pages.into(), |path| path == Path::new("static.css"))
    }

    #[test]
    fn links_to_pages_anchors_and_other_files_are_whole() {
        let html = "<link href=\"../../static.css\"><a href=\"../c.html#there\"><a href=\"#here\">\
            <i id=\"here\"><a href=\"https://example.com/\"><a href=\"http::HeaderMap\">\
            <a href=\"index.html\">";
        assert_eq!(broken_in(html), [""; 0]);
    }

    #[test]
    fn a_fragment_goes_with_a_redirect() {
        let redirect = "<title>Redirection</title><a href=\"../c.html\">";
        let link = "<a href=\"private/c.html#there\"><a href=\"private/c.html#gone\">";
        let pages = [
            ("private/c.html", redirect),
            ("c.html", "<h2 id=\"there\">"),
            ("a.html", link),
        ];
        let pages = pages.map(|(name, html)| (PathBuf::from(name), Page::of(html)));
        assert_eq!(
            broken(&pages.into(), |_| false),
            ["a.html: private/c.html#gone"]
        );
    }

    #[test]
    fn links_of_other_crates_are_left_out() {
        let html = "<a href=\"#here\"><i id=\"here\"><div id=\"blanket-implementations-list\"><a href=\"gone\">";
        assert_eq!(broken_in(html), [""; 0]);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_named_with_its_page() {
        let html = "<a href=\"../c.html#gone\"><a href=\"#gone\"><a href=\"c.html\">";
        let expected = [
            "a/b/index.html: #gone",
            "a/b/index.html: ../c.html#gone",
            "a/b/index.html: c.html",
        ];
        assert_eq!(broken_in(html), expected);
    }
}
