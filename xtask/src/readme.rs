//! `cargo xtask readme`: the code blocks of every README.
//!
//! A README whose blocks name their files describes a project. The project is written as a reader
//! would write it, each block into the file that the sentence above it names, in order; then it is
//! built, run and tested with the dependencies that the README gives. The Rust blocks of other READMEs
//! are doctests of their crates.

mod blocks;
mod manifest;
mod project;

use std::path::{Path, PathBuf};
use std::{fs, iter};

use serde::Deserialize;
use serde_json::Value;

use self::blocks::{Block, blocks};
use self::manifest::Member;
use self::project::Project;
use crate::prepare::{self, CURL};
use crate::step::{Step, root, shown};

/// The name of a project whose README does not begin with `cargo new`.
const PACKAGE: &str = "my-crate";

/// The line that makes the blocks of a README doctests of its crate.
const DOCTESTS: &str = "include_str!(\"../README.md\")";

/// The commands that the README of the repository must show, so that its project is built, run and
/// tested.
const ESSENTIAL: [&str; 4] = ["cargo new", "cargo run", "curl", "cargo test"];

/// Checks the blocks of the READMEs with these paths, or of all when there are none.
///
/// # Errors
///
/// Returns the first fault, with the README and the line or with the command that repeats it; a path
/// that no README has.
pub(crate) fn run(paths: &[String]) -> Result<(), String> {
    prepare::tools(&[CURL])?;
    let metadata = Step::new(
        "the crates of the workspace",
        "cargo metadata --offline --no-deps --format-version 1",
    );
    let metadata: Metadata =
        serde_json::from_str(&metadata.output()?).map_err(|reason| reason.to_string())?;
    let members: Vec<_> = metadata.packages.iter().map(Package::member).collect();
    let of_packages = metadata
        .packages
        .iter()
        .map(|package| (package.directory().join("README.md"), Some(package)))
        .filter(|(readme, _)| readme.exists());
    let readmes: Vec<_> = iter::once((root().join("README.md"), None))
        .chain(of_packages)
        .collect();
    let is_known = |path: &&String| readmes.iter().any(|(readme, _)| shown(readme) == **path);
    if let Some(unknown) = paths.iter().find(|path| !is_known(path)) {
        return Err(format!("there is no `{unknown}` in the workspace"));
    }
    for (readme, package) in &readmes {
        if paths.is_empty() || paths.contains(&shown(readme)) {
            check(readme, *package, &members)?;
        }
    }
    Ok(())
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
}

impl Package {
    fn directory(&self) -> &Path {
        self.manifest_path
            .parent()
            .expect("a manifest lies in a directory")
    }

    fn member(&self) -> Member {
        Member {
            name: self.name.clone(),
            path: self.directory().display().to_string(),
        }
    }
}

/// Checks one README: that of `package`, or that of the repository.
fn check(path: &Path, package: Option<&Package>, members: &[Member]) -> Result<(), String> {
    let name = shown(path);
    let text =
        fs::read_to_string(path).map_err(|reason| format!("cannot read {name}: {reason}"))?;
    let blocks = blocks(&text).map_err(|reason| format!("{name}:{reason}"))?;
    well_formed(&blocks).map_err(|reason| format!("{name}:{reason}"))?;
    let is_project = blocks.iter().any(|block| block.file.is_some());
    if package.is_none() || is_project {
        println!("\n{name}: a project of its own");
        claimed(&blocks).map_err(|reason| format!("{name}:{reason}"))?;
        return follow(&name, &blocks, package.is_none(), members);
    }
    let rust = blocks.iter().filter(|block| block.language() == "rust");
    if let (Some(package), 1..) = (package, rust.count()) {
        let library = package.directory().join("src/lib.rs");
        let code = fs::read_to_string(&library).unwrap_or_default();
        if !code.contains(DOCTESTS) {
            let library = shown(&library);
            return Err(format!(
                "{name}: its Rust is not compiled: no `{DOCTESTS}` in {library}, and no block has a file"
            ));
        }
        println!("\n{name}: doctests of {}", package.name);
    }
    Ok(())
}

/// Checks that every block has a language that is checked, that JSON is JSON, and that nothing is
/// ignored.
fn well_formed(blocks: &[Block]) -> Result<(), String> {
    for block in blocks {
        let line = block.line;
        match block.language() {
            "rust" if block.is_ignored() => {
                return Err(format!(
                    "{line}: this block is ignored, so nothing compiles it"
                ));
            }
            "toml" if block.file.is_none() => return Err(unclaimed(line)),
            "json" => {
                for value in serde_json::Deserializer::from_str(&block.text).into_iter::<Value>() {
                    value.map_err(|reason| format!("{line}: this block is not JSON: {reason}"))?;
                }
            }
            "rust" | "toml" | "console" | "text" => {}
            other => return Err(format!("{line}: nothing checks a block of `{other}`")),
        }
    }
    Ok(())
}

/// Checks that every block of a project belongs to a file.
fn claimed(blocks: &[Block]) -> Result<(), String> {
    let mut code = blocks
        .iter()
        .filter(|block| matches!(block.language(), "rust" | "toml"));
    match code.find(|block| block.file.is_none()) {
        Some(block) => Err(unclaimed(block.line)),
        None => Ok(()),
    }
}

fn unclaimed(line: usize) -> String {
    format!("{line}: this block belongs to no file (write ``In `src/main.rs`:`` above it)")
}

/// Makes a project of the blocks, in order, and runs it.
fn follow(name: &str, blocks: &[Block], is_root: bool, members: &[Member]) -> Result<(), String> {
    let commands = |block: &Block| match block.language() {
        "console" => block
            .commands()
            .into_iter()
            .map(|(command, output)| (command.to_owned(), output))
            .collect(),
        _ => Vec::new(),
    };
    let console: Vec<_> = blocks.iter().flat_map(commands).collect();
    if is_root {
        for essential in ESSENTIAL {
            if !console
                .iter()
                .any(|(command, _)| command.starts_with(essential))
            {
                return Err(format!("{name}: `{essential}` is no longer shown"));
            }
        }
    }
    let package = console
        .iter()
        .find_map(|(command, _)| command.strip_prefix("cargo new "));
    let mut project = Project::new(name, package.unwrap_or(PACKAGE))?;
    // Commands before `cargo new` are about the clone.
    let mut is_begun = false;
    for block in blocks {
        if let Some(file) = &block.file {
            project.add(file, block, members)?;
        }
        for (command, output) in commands(block) {
            if is_begun {
                let at = |reason| format!("at {name}:{}: {reason}", block.line);
                project.command(&command, &output).map_err(at)?;
            }
            is_begun |= command.starts_with("cargo new ");
        }
    }
    if !is_begun {
        project.test()?;
    }
    project.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_belongs_to_no_file_is_named_by_its_line() {
        let blocks = blocks("In `src/lib.rs`:\n\n```rust\n```\n\nAnd:\n\n```rust\n```\n").unwrap();
        let error = claimed(&blocks).unwrap_err();
        assert!(
            error.starts_with("8: this block belongs to no file"),
            "{error}"
        );
    }

    #[test]
    fn a_manifest_that_belongs_to_no_file_is_named_by_its_line() {
        let error = well_formed(&blocks("```toml\n```\n").unwrap()).unwrap_err();
        assert!(
            error.starts_with("1: this block belongs to no file"),
            "{error}"
        );
    }

    #[test]
    fn a_block_that_nothing_checks_is_an_error() {
        for markdown in [
            "```\n```\n",
            "```python\n```\n",
            "```rust,ignore\n```\n",
            "```json\n{\n```\n",
        ] {
            assert!(
                well_formed(&blocks(markdown).unwrap()).is_err(),
                "{markdown}"
            );
        }
    }
}
