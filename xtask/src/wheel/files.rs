//! The wheel as a file, built and tested for one Python after the other.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{FOLDER, IMPORTS, REQUIREMENTS};
use crate::prepare::{self, PYTHON3, PythonEnvironment, interpreter};
use crate::step::{Step, shown, target};

/// The versions of Python that the wheel supports.
const VERSIONS: [&str; 4] = ["3.11", "3.12", "3.13", "3.14"];

/// Prints the version of an interpreter, and the folder that it is installed in.
const DESCRIPTION: &str =
    "import sys; print(f'{sys.version_info.major}.{sys.version_info.minor}', sys.base_prefix)";

/// What is asked for: which files, beside the arguments of pytest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Files {
    interpreters: Interpreters,
    build: Build,
}

/// Which interpreters the wheel is built for.
#[derive(Debug, PartialEq, Eq)]
enum Interpreters {
    /// Each that the machine has.
    All,
    /// A version, or the path of an interpreter.
    Named(Vec<String>),
}

/// How the wheel is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    /// As fast as possible, for tests.
    Debug,
    /// With the optimisations of the published wheel, for which the server runs under the load of `training/`.
    Published,
}

impl Files {
    /// Returns what the arguments say about files, and the other arguments.
    ///
    /// # Errors
    ///
    /// Returns which argument lacks its value.
    pub(super) fn read(arguments: &[String]) -> Result<(Option<Self>, Vec<String>), String> {
        let mut named = Vec::new();
        let mut is_all = false;
        let mut build = Build::Debug;
        let mut others = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--all" => is_all = true,
                "--published" => build = Build::Published,
                "--python" => {
                    let value = arguments.next();
                    named.push(value.ok_or("--python needs a version or a path")?.clone());
                }
                _ => others.push(argument.clone()),
            }
        }
        let interpreters = match (is_all, named.is_empty()) {
            (true, false) => return Err("--all and --python exclude each other".into()),
            (true, true) => Interpreters::All,
            (false, false) => Interpreters::Named(named),
            (false, true) if build == Build::Debug => return Ok((None, others)),
            (false, true) => Interpreters::Named(vec![PYTHON3.into()]),
        };
        Ok((
            Some(Self {
                interpreters,
                build,
            }),
            others,
        ))
    }
}

impl Interpreters {
    /// Returns the interpreters, and says which version the machine does not have.
    fn found(self) -> Result<Vec<Interpreter>, String> {
        match self {
            Self::All => {
                let found = VERSIONS.into_iter().filter_map(|version| {
                    Interpreter::found(version)
                        .inspect_err(|reason| println!("{reason}: it is left out."))
                        .ok()
                });
                Ok(found.collect())
            }
            Self::Named(named) => named.iter().map(|name| Interpreter::found(name)).collect(),
        }
    }
}

/// An interpreter of Python.
#[derive(Debug)]
struct Interpreter {
    path: String,
    version: String,
    /// The folder that it is installed in, which its environments tell.
    prefix: String,
}

impl Interpreter {
    /// Returns the interpreter of a version, or the one at a path.
    fn found(name: &str) -> Result<Self, String> {
        let missing = || format!("there is no Python {name}");
        let path = match name.contains('/') || name == PYTHON3 {
            true => name.to_owned(),
            false => interpreter(name).ok_or_else(missing)?,
        };
        let description = Step::program("check", &path)
            .arg("-c")
            .arg(DESCRIPTION)
            .silent_output()
            .ok_or_else(missing)?;
        let (version, prefix) = description.trim().split_once(' ').ok_or_else(missing)?;
        Ok(Self {
            path,
            version: version.into(),
            prefix: prefix.into(),
        })
    }
}

/// Builds the file of the wheel for each interpreter, installs it, and runs its tests with these arguments of pytest.
///
/// # Errors
///
/// Returns which interpreter is missing, or how to repeat what failed.
pub(super) fn test(files: Files, arguments: &[String]) -> Result<(), String> {
    let interpreters = files.interpreters.found()?;
    let mut done = Vec::new();
    for interpreter in &interpreters {
        println!("\n##### Python {}", interpreter.version);
        let tests = test_for(interpreter, files.build, arguments)?;
        done.push(format!("Python {}: {tests} tests", interpreter.version));
    }
    println!("\n{}", done.join("\n"));
    Ok(())
}

fn test_for(
    interpreter: &Interpreter,
    build: Build,
    arguments: &[String],
) -> Result<usize, String> {
    let name = format!("wheel-{}", interpreter.version);
    let environment = PythonEnvironment::named(&name)?;
    let prefix = &interpreter.prefix;
    if !environment.has(&format!(
        "{IMPORTS}; import sys; assert sys.base_prefix == '{prefix}'"
    )) {
        environment.create(&interpreter.path)?;
        environment.install(&["maturin", "-r", REQUIREMENTS])?;
    }
    let file = shown(&build.file(&environment)?);
    install_alone(&name, interpreter, &file)?;
    environment.install(&["--force-reinstall", "--no-deps", &file])?;
    super::test_installed(&environment, arguments)
}

/// Builds the published wheel, and installs its file in an environment that has maturin.
///
/// # Errors
///
/// Returns how to repeat what failed.
pub(crate) fn install_published(environment: &PythonEnvironment) -> Result<(), String> {
    let file = shown(&Build::Published.file(environment)?);
    environment.install(&["--force-reinstall", "--no-deps", &file])?;
    environment.install(&[&format!("{file}[standard]")])
}

impl Build {
    /// Builds the wheel for the interpreter of an environment, and returns its file.
    fn file(self, environment: &PythonEnvironment) -> Result<PathBuf, String> {
        let python = shown(&environment.python());
        let folder = environment.path().join("built");
        let unreadable = |reason: io::Error| format!("cannot read {}: {reason}", folder.display());
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(unreadable)?;
        }
        let step = Step::program("the file of the wheel", &python)
            .arg("-m")
            .arg("maturin")
            .arg("build")
            .arg("--locked")
            .arg("--strip")
            .arg("--manifest-path")
            .arg(shown(&Path::new(FOLDER).join("Cargo.toml")))
            .arg("--interpreter")
            .arg(&python)
            .arg("--out")
            .arg(shown(&folder))
            .env("PYO3_PYTHON", environment.python().to_string_lossy());
        match self {
            Self::Debug => step.run()?,
            Self::Published => {
                prepare::profile_tools()?;
                // With the same directory, the different flags would make cargo build everything else anew.
                let directory = target()?.join("published");
                step.arg("--release")
                    .arg("--pgo")
                    .env("CARGO_TARGET_DIR", directory.to_string_lossy())
                    .run()?;
            }
        }
        let mut built = fs::read_dir(&folder).map_err(unreadable)?;
        let file = built.next().ok_or("maturin has built no file")?;
        Ok(file.map_err(unreadable)?.path())
    }
}

/// Installs the file in an environment that has nothing else, and starts the program there.
fn install_alone(name: &str, interpreter: &Interpreter, file: &str) -> Result<(), String> {
    let empty = PythonEnvironment::named(&format!("{name}-alone"))?;
    empty.create(&interpreter.path)?;
    empty.install(&[&format!("{file}[standard]")])?;
    let program = empty.path().join("bin").join("callgate");
    let version = Step::program("the program", shown(&program))
        .arg("--version")
        .output()?;
    print!("{version}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &str) -> Result<(Option<Files>, Vec<String>), String> {
        let arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
        Files::read(&arguments)
    }

    fn files(interpreters: Interpreters, build: Build) -> Option<Files> {
        Some(Files {
            interpreters,
            build,
        })
    }

    #[test]
    fn files_are_named_among_the_arguments_of_pytest() {
        let named =
            |names: &[&str]| Interpreters::Named(names.iter().map(|&name| name.into()).collect());
        let others = vec!["-k".to_owned(), "websocket".to_owned()];
        let read = |arguments| read(arguments).unwrap();
        assert_eq!(
            read("--python 3.12 -k websocket --python /usr/bin/python3"),
            (
                files(named(&["3.12", "/usr/bin/python3"]), Build::Debug),
                others.clone()
            )
        );
        assert_eq!(
            read("-k websocket --all --published"),
            (files(Interpreters::All, Build::Published), others.clone())
        );
        assert_eq!(
            read("--published -k websocket"),
            (files(named(&["python3"]), Build::Published), others.clone())
        );
        assert_eq!(read("-k websocket"), (None, others));
    }

    #[test]
    fn a_version_that_is_missing_or_given_twice_over_is_refused() {
        assert!(read("--python").is_err());
        assert!(read("--all --python 3.12").is_err());
    }
}
