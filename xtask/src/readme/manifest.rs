//! A `Cargo.toml` in the making.

use std::path::Path;

/// The folder of the clone, as a README names it: next to the reader's project.
const CLONE: &str = "\"../callgate/";

/// A crate of the workspace.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: String,
    /// Its folder.
    pub(super) path: String,
}

/// The tables of a manifest, each with its lines.
#[derive(Debug)]
pub(super) struct Manifest {
    tables: Vec<(String, Vec<String>)>,
}

impl Manifest {
    /// Returns the manifest that `cargo new` writes, with warnings denied.
    pub(super) fn new(package: &str) -> Self {
        let package = vec![
            format!("name = \"{package}\""),
            "version = \"0.1.0\"".to_owned(),
            "edition = \"2024\"".to_owned(),
        ];
        Self {
            tables: vec![
                ("[package]".to_owned(), package),
                ("[dependencies]".to_owned(), Vec::new()),
                (
                    "[lints.rust]".to_owned(),
                    vec!["warnings = \"deny\"".to_owned()],
                ),
            ],
        }
    }

    /// Adds the lines of a block to the tables that it names, in place of lines with the same keys.
    /// The crates of the workspace come from `root`, whether the block gives a version or the folder of
    /// a clone.
    ///
    /// # Errors
    ///
    /// Returns a line that stands in no table.
    pub(super) fn add(
        &mut self,
        block: &str,
        root: &Path,
        members: &[Member],
    ) -> Result<(), String> {
        let mut table = None;
        for line in block.lines().map(str::trim) {
            if line.starts_with('[') {
                table = Some(self.table(line));
            } else if !line.is_empty() {
                let table = table.ok_or_else(|| format!("`{line}` stands in no table"))?;
                let lines = &mut self.tables[table].1;
                lines.retain(|known| key(known) != key(line));
                lines.push(in_place(line, root, members));
            }
        }
        Ok(())
    }

    /// Returns the index of a table, which is new if need be.
    fn table(&mut self, header: &str) -> usize {
        let known = self.tables.iter().position(|(name, _)| name == header);
        known.unwrap_or_else(|| {
            self.tables.push((header.to_owned(), Vec::new()));
            self.tables.len() - 1
        })
    }
}

impl std::fmt::Display for Manifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (header, lines) in &self.tables {
            writeln!(f, "{header}")?;
            for line in lines {
                writeln!(f, "{line}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn key(line: &str) -> &str {
    line.split(" = ").next().unwrap_or_default()
}

/// Returns the line of a dependency with the folder of the workspace in place of a version or of a
/// clone.
fn in_place(line: &str, root: &Path, members: &[Member]) -> String {
    let line = line.replace(CLONE, &format!("\"{}/", root.display()));
    let Some((name, value)) = line.split_once(" = ") else {
        return line;
    };
    let Some(member) = members.iter().find(|member| member.name == name) else {
        return line;
    };
    let path = &member.path;
    if value.starts_with('"') {
        format!("{name} = {{ path = \"{path}\", version = {value} }}")
    } else if value.contains("path = ") {
        line
    } else {
        line.replacen('{', &format!("{{ path = \"{path}\","), 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_goes_into_the_tables_that_are_there_or_new_and_replaces_lines() {
        let members = [
            ("callgate", "/clone/spec"),
            ("callgate-toolkit", "/clone/toolkit"),
        ]
        .map(|(name, path)| Member {
            name: name.into(),
            path: path.into(),
        });
        let mut manifest = Manifest::new("hello");
        for block in [
            "[dependencies]\ncallgate = { path = \"../callgate/spec\" }\n",
            "[dev-dependencies]\ncallgate-toolkit = { version = \"0.1\", features = [\"test-client\"] }\n\n[dependencies]\ncallgate-toolkit = \"0.1\"\nserde = \"2\"\n",
            "[dependencies]\nserde = \"1\"\n",
        ] {
            manifest.add(block, Path::new("/clone"), &members).unwrap();
        }
        assert_eq!(
            manifest.to_string(),
            "\
[package]
name = \"hello\"
version = \"0.1.0\"
edition = \"2024\"

[dependencies]
callgate = { path = \"/clone/spec\" }
callgate-toolkit = { path = \"/clone/toolkit\", version = \"0.1\" }
serde = \"1\"

[lints.rust]
warnings = \"deny\"

[dev-dependencies]
callgate-toolkit = { path = \"/clone/toolkit\", version = \"0.1\", features = [\"test-client\"] }

"
        );
    }

    #[test]
    fn a_line_in_no_table_is_an_error() {
        let mut manifest = Manifest::new("hello");
        let error = manifest.add("serde = \"1\"\n", Path::new("/clone"), &[]);
        assert_eq!(error, Err("`serde = \"1\"` stands in no table".to_owned()));
    }
}
