//! The commands that show the settings: as a file, as a page, as completions and as a manual page.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use callgate_cli::fail;
use clap::{Command, Subcommand};
use clap_complete::Shell;

use super::flags::{CONFIG, Flags, Origin, variable};
use crate::config::{Config, GROUPS, Setting, Shape, paragraphs};

/// The width of the comments in a settings file.
const WIDTH: usize = 100;

/// Commands that show the settings of a server. [`main`](super::main) has them; a program with
/// commands of its own adds them with `#[command(flatten)]`.
#[derive(Clone, Debug, Subcommand)]
#[non_exhaustive]
pub enum SettingsCommand {
    /// Print the settings in force as a settings file, with where each value comes from
    Config {
        /// Print a file with all settings and their defaults, to begin with
        #[arg(long, conflicts_with = "reference")]
        default: bool,
        /// Print the reference of all settings, as Markdown
        #[arg(long)]
        reference: bool,
        /// The settings
        #[command(flatten)]
        flags: Box<Flags>,
    },
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page of the command that serves
    Man,
}

impl SettingsCommand {
    /// Prints what the command asks for. `command` is the command line of the whole program.
    pub fn run(self, mut command: Command) -> ExitCode {
        let mut output = Vec::new();
        match self {
            Self::Config { default: true, .. } => output.extend(default_file().into_bytes()),
            Self::Config {
                reference: true, ..
            } => output.extend(reference().into_bytes()),
            Self::Config { flags, .. } => output.extend(in_force(&flags).into_bytes()),
            Self::Completions { shell } => {
                let name = command.get_name().to_owned();
                clap_complete::generate(shell, &mut command, name, &mut output);
            }
            Self::Man => {
                let page = clap_mangen::Man::new(serving(&command));
                if let Err(error) = page.render(&mut output) {
                    return fail(1, format_args!("cannot write the manual page: {error}"));
                }
            }
        }
        match io::stdout().write_all(&output) {
            // The reader has closed its end of the pipe.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                fail(1, format_args!("cannot write to standard output: {error}"))
            }
            _ => ExitCode::SUCCESS,
        }
    }
}

/// Returns the command that has the flags of a server: `command`, or the first of its subcommands.
fn serving(command: &Command) -> Command {
    let has_flags = |command: &Command| command.get_arguments().any(|arg| arg.get_id() == CONFIG);
    if has_flags(command) {
        return command.clone();
    }
    let found = command.get_subcommands().find(|command| has_flags(command));
    found.map_or_else(
        || command.clone(),
        |found| {
            let name = format!("{} {}", command.get_name(), found.get_name());
            found
                .clone()
                .bin_name(name.clone())
                .display_name(name.replace(' ', "-"))
        },
    )
}

/// Returns a settings file with the values in force, each with its origin.
fn in_force(flags: &Flags) -> String {
    let mut text = String::new();
    for group in GROUPS.iter() {
        let _ = writeln!(text, "[{}]", group.name);
        for setting in &group.settings {
            let origin = match flags.origins.get(setting.name) {
                None => "default".into(),
                Some(Origin::Flag) => format!("--{}", setting.flag),
                Some(Origin::Variable) => variable(setting).to_owned(),
                Some(Origin::File(path, line)) => format!("{}:{line}", path.display()),
            };
            let line = format!("{} = {}", setting.key, value(setting, &flags.config));
            let _ = writeln!(text, "{line:44} # {origin}");
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len() + 1);
    text
}

/// Returns a settings file of comments, with all settings and their defaults.
fn default_file() -> String {
    let mut text = String::from(
        "# The settings of a server. Each line that begins with `#` and a key has the default of the key.\n",
    );
    let config = Config::default();
    for group in GROUPS.iter() {
        let _ = writeln!(text, "\n[{}]", group.name);
        for setting in &group.settings {
            for paragraph in setting.paragraphs() {
                wrap(&paragraph, &mut text);
            }
            let _ = writeln!(text, "#{} = {}\n", setting.key, value(setting, &config));
        }
        text.truncate(text.trim_end().len() + 1);
    }
    text
}

/// Writes a paragraph as comments.
fn wrap(paragraph: &str, text: &mut String) {
    let mut width = WIDTH;
    for word in paragraph.split(' ') {
        if width + 1 + word.len() > WIDTH {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push('#');
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += 1 + word.len();
    }
    text.push('\n');
}

/// Returns the value of a setting as TOML.
fn value(setting: &Setting, config: &Config) -> String {
    let texts = (setting.show)(config);
    let text = texts.first().cloned().unwrap_or_default();
    match setting.shape {
        Shape::Switch => text,
        Shape::Number if text.parse::<f64>().is_ok() => text,
        Shape::Number | Shape::Text => quoted(&text),
        #[cfg(feature = "tls")]
        Shape::Secret => quoted(if text == "none" { "none" } else { "***" }),
        Shape::List(_) => {
            let items: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// Returns the reference of all settings.
fn reference() -> String {
    let mut text = String::from(
        "# Settings\n\n\
         The settings of `callgate-server`. `callgate config --reference` prints this page.\n\n\
         A value comes from the settings file (`--config callgate.toml`), from an environment variable or \
         from a flag; a variable overrides the file, and a flag overrides both. `callgate config` prints the \
         values in force and where each comes from, and `callgate config --default` a file with all settings \
         to begin with. Each setting without a value has an opposite: `--no-access-log` for `--access-log`. \
         Sizes are in bytes, or have one of the units KiB, MiB and GiB.\n",
    );
    for group in GROUPS.iter() {
        let _ = writeln!(text, "\n## `[{}]`\n", group.name);
        let _ = writeln!(
            text,
            "{}",
            paragraphs(group.doc).collect::<Vec<_>>().join("\n\n")
        );
        for setting in &group.settings {
            let switch = matches!(setting.shape, Shape::Switch);
            let argument = if switch {
                String::new()
            } else {
                format!(" {}", setting.value_name)
            };
            let _ = writeln!(text, "\n### `--{}{argument}`\n", setting.flag);
            let _ = writeln!(
                text,
                "File `{}.{}` · variable `{}` · default `{}`\n",
                group.name, setting.key, setting.variable, setting.default
            );
            let _ = writeln!(
                text,
                "{}",
                setting.paragraphs().collect::<Vec<_>>().join("\n\n")
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn flags(args: &[&str]) -> Flags {
        let matches = Flags::augment_args(Command::new("test"))
            .no_binary_name(true)
            .mut_args(|arg| arg.env(None::<&str>))
            .get_matches_from(args);
        Flags::from_arg_matches(&matches).unwrap()
    }

    /// Writes a file, and returns the settings that are read from it.
    fn read_back(text: &str) -> Flags {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        flags(&["--config", file.path().to_str().unwrap()])
    }

    #[test]
    fn the_settings_in_force_are_a_file_that_gives_the_same_settings() {
        let given = flags(&[
            "--port=1",
            "--header=x-a: \"b\"",
            "--timeout-write=0.5",
            "--threads=2",
        ]);
        let printed = in_force(&given);
        let line = printed.lines().find(|line| line.starts_with("port"));
        let words: Vec<_> = line.unwrap().split_whitespace().collect();
        assert_eq!(words, ["port", "=", "1", "#", "--port"]);
        let back = read_back(&printed).into_config();
        assert_eq!(format!("{back:?}"), format!("{:?}", given.into_config()));
    }

    #[test]
    fn the_file_to_begin_with_has_every_setting_with_its_default() {
        let text = default_file();
        assert!(read_back(&text).origins.is_empty());
        let without_comments: String = (text.lines())
            .filter(|line| !line.starts_with("# "))
            .map(|line| format!("{}\n", line.trim_start_matches('#')))
            .collect();
        let flags = read_back(&without_comments);
        let count: usize = GROUPS.iter().map(|group| group.settings.len()).sum();
        assert_eq!(flags.origins.len(), count);
        let config = flags.into_config();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
    }

    #[test]
    fn the_reference_in_the_documents_is_that_of_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/SETTINGS.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == reference(),
            "write it anew: cargo run -- config --reference > server/SETTINGS.md"
        );
    }

    /// Returns the flags in a document, each with the default that the document gives it: `--flag` or
    /// `--flag`: `default`.
    fn documented(text: &str) -> Vec<(&str, Option<&str>)> {
        let mut flags = Vec::new();
        for rest in text.split("`--").skip(1) {
            let Some((flag, rest)) = rest.split_once('`') else {
                continue;
            };
            let default = rest.strip_prefix(": `").and_then(|it| it.split_once('`'));
            flags.push((flag, default.map(|(default, _)| default)));
        }
        flags
    }

    #[test]
    fn the_document_on_security_names_settings_and_their_defaults() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md");
        let text = std::fs::read_to_string(path).unwrap();
        let documented = documented(&text);
        for (flag, default) in &documented {
            let setting = GROUPS
                .iter()
                .flat_map(|group| &group.settings)
                .find(|it| it.flag == *flag);
            let Some(setting) = setting else {
                assert_eq!(*default, None, "there is no --{flag}");
                assert!(["config"].contains(flag), "there is no --{flag}");
                continue;
            };
            if let Some(default) = default {
                assert_eq!(*default, setting.default, "--{flag}");
            }
        }
        assert!(documented.len() > 20);
    }
}
