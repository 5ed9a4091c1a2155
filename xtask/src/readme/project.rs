//! The project that a reader makes of a README's blocks.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::blocks::Block;
use super::manifest::{Manifest, Member};
use crate::step::{Step, root, shown, target};

/// The address of the server of a README's project, as the README shows it.
const SHOWN_ADDRESS: &str = "127.0.0.1:8000";

/// A project in a directory of its own, outside the workspace.
#[derive(Debug)]
pub(super) struct Project {
    /// The README, for messages.
    readme: String,
    package: String,
    directory: PathBuf,
    manifest: Manifest,
    /// The files of blocks so far, by their paths in the project.
    files: BTreeMap<String, String>,
    server: Option<Server>,
}

impl Project {
    /// Creates the project that `cargo new` makes. The project of an earlier run is removed first.
    ///
    /// # Errors
    ///
    /// Returns why the directory cannot be written.
    pub(super) fn new(readme: &str, package: &str) -> Result<Self, String> {
        // The path is the same at every run, so that cargo finds what it has built.
        let mut hasher = DefaultHasher::new();
        (root(), readme).hash(&mut hasher);
        let directory = format!("callgate-readme-{:016x}", hasher.finish());
        let directory = std::env::temp_dir().join(directory).join(package);
        if directory.exists() {
            fs::remove_dir_all(&directory).map_err(cannot("remove", &directory))?;
        }
        let project = Self {
            readme: readme.to_owned(),
            package: package.to_owned(),
            directory,
            manifest: Manifest::new(package),
            files: BTreeMap::new(),
            server: None,
        };
        project.write(
            "src/main.rs",
            "fn main() {\n    println!(\"Hello, world!\");\n}\n",
        )?;
        project.write("Cargo.toml", &project.manifest.to_string())?;
        // With the versions of the workspace, cargo has nothing to resolve or to download.
        let lock = fs::read_to_string(root().join("Cargo.lock"))
            .map_err(cannot("read", &root().join("Cargo.lock")))?;
        project.write("Cargo.lock", &lock)?;
        Ok(project)
    }

    /// Writes a block into its file: a manifest's tables are merged; a second block of a file goes to
    /// its end.
    ///
    /// # Errors
    ///
    /// Returns the fault of the block, or the reason for which the file cannot be written.
    pub(super) fn add(
        &mut self,
        file: &str,
        block: &Block,
        members: &[Member],
    ) -> Result<(), String> {
        if file == "Cargo.toml" {
            self.manifest
                .add(&block.text, root(), members)
                .map_err(|reason| format!("{}:{}: {reason}", self.readme, block.line))?;
            return self.write(file, &self.manifest.to_string());
        }
        let text = self.files.entry(file.to_owned()).or_default();
        text.push_str(&block.text);
        self.write(file, &self.files[file])
    }

    /// Runs a command that the README shows, and compares its output with the output shown.
    ///
    /// # Errors
    ///
    /// Returns how to repeat a command that failed; how the outputs differ; that this does not know the
    /// command.
    pub(super) fn command(&mut self, command: &str, output: &str) -> Result<(), String> {
        let words: Vec<_> = command.split_whitespace().collect();
        match words[..] {
            ["cd", directory] if directory == self.package => Ok(()),
            ["cargo", "test"] => self.test(),
            ["cargo", "run"] => {
                self.cargo("build").run()?;
                self.server = Some(Server::start(&target()?.join("debug").join(&self.package))?);
                Ok(())
            }
            ["curl", ..] => {
                let server = self.server.as_ref();
                let server =
                    server.ok_or_else(|| format!("`{command}` comes before `cargo run`"))?;
                let command = command.replace(SHOWN_ADDRESS, &server.address);
                let printed = Step::program(format!("{}: curl", self.readme), "sh")
                    .arg("-c")
                    .arg(command.replacen("curl", "curl --silent --show-error", 1))
                    .output()?;
                if printed == output {
                    Ok(())
                } else {
                    Err(format!("`{command}` prints {printed:?}, not {output:?}"))
                }
            }
            _ => Err(format!(
                "`{command}` is not run: `xtask/src/readme/project.rs` does not know it"
            )),
        }
    }

    /// Builds everything and runs the tests.
    ///
    /// # Errors
    ///
    /// Returns how to repeat it.
    pub(super) fn test(&self) -> Result<(), String> {
        self.cargo("test").run()
    }

    /// Stops the server, and removes the project, which stays for inspection after a failure.
    ///
    /// # Errors
    ///
    /// Returns how the server ended, if not cleanly; why the directory cannot be removed.
    pub(super) fn finish(self) -> Result<(), String> {
        if let Some(server) = self.server {
            server.stop()?;
        }
        let directory = self.directory.parent().unwrap_or(&self.directory);
        fs::remove_dir_all(directory).map_err(cannot("remove", directory))
    }

    fn cargo(&self, command: &str) -> Step {
        let name = format!("{}: cargo {command}", self.readme);
        let target = target().unwrap_or_else(|_| root().join("target"));
        Step::new(name, &format!("cargo {command} --offline"))
            .directory(&self.directory)
            .env("CARGO_TARGET_DIR", target.to_string_lossy())
            // The workspace builds its dependencies without debug information; they are used again.
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
    }

    fn write(&self, file: &str, text: &str) -> Result<(), String> {
        let path = self.directory.join(file);
        let parent = path.parent().expect("a file lies in a directory");
        fs::create_dir_all(parent).map_err(cannot("create", parent))?;
        fs::write(&path, text).map_err(cannot("write", &path))
    }
}

/// The server that `cargo run` starts, on a free port.
#[derive(Debug)]
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(program: &Path) -> Result<Self, String> {
        println!("\n=== the server\n    {} --port 0", shown(program));
        let mut process = Command::new(program)
            .args(["--port", "0", "--log-level", "info"])
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|reason| format!("cannot run {}: {reason}", shown(program)))?;
        let mut log = String::new();
        let mut lines = BufReader::new(process.stderr.take().expect("piped"));
        let mut server = Self {
            process,
            address: String::new(),
        };
        while lines.read_line(&mut log).is_ok_and(|read| read > 0) {
            let address = log.split_once("http://").map(|(_, rest)| rest);
            if let Some(address) = address.and_then(|rest| rest.split_whitespace().next()) {
                server.address = address.to_owned();
                // The pipe stays open, so that the server can go on logging.
                server.process.stderr = Some(lines.into_inner());
                return Ok(server);
            }
        }
        Err(format!("the server has not started: {log}"))
    }

    /// Tells the server to stop, as a service manager does.
    fn stop(mut self) -> Result<(), String> {
        Step::program("stop the server", "sh")
            .arg("-c")
            .arg(format!("kill -TERM {}", self.process.id()))
            .run()?;
        let status = self.process.wait().map_err(|reason| reason.to_string())?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("the server ended with {status}"))
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing is left to do when the server has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn cannot(verb: &str, path: &Path) -> impl FnOnce(std::io::Error) -> String {
    move |reason| format!("cannot {verb} {}: {reason}", path.display())
}
