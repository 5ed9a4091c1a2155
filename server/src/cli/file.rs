//! The settings file: TOML, with a table for each group of settings.

use std::fs;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::flags::{Flags, Origin};
use crate::config::{GROUPS, Group, Setting, Shape};

/// Reads the file at `path` into `flags`. The error is one line, which names the file and the line.
pub(super) fn read(path: &Path, flags: &mut Flags) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| {
        format!(
            "cannot read the settings file {}: {error} (choose another with --config)",
            path.display()
        )
    })?;
    parse(&text, path, flags)
}

/// Reads `text`, which is that of the file at `path`, into `flags`.
pub(super) fn parse(text: &str, path: &Path, flags: &mut Flags) -> Result<(), String> {
    let shown = path.display();
    let at = |offset: usize| text[..offset].matches('\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| at(span.start));
        format!("{shown}:{line}: {}", error.message())
    })?;
    for (name, value) in table.get_ref() {
        let line = at(name.span().start);
        read_group(name.get_ref(), value, flags, |offset| {
            let line = offset.map_or(line, at);
            (line, Origin::File(path.into(), line))
        })
        .map_err(|(line, reason)| format!("{shown}:{line}: {reason}"))?;
    }
    Ok(())
}

/// Reads a table of the file. `place` returns the line of an offset; of the table's name for `None`.
fn read_group(
    name: &str,
    value: &Spanned<DeValue<'_>>,
    flags: &mut Flags,
    place: impl Fn(Option<usize>) -> (usize, Origin),
) -> Result<(), (usize, String)> {
    let fail = |offset, reason| (place(offset).0, reason);
    let Some(group) = GROUPS.iter().find(|group| group.name == name) else {
        return Err(fail(None, unknown_group(name)));
    };
    let DeValue::Table(table) = value.get_ref() else {
        let reason =
            format!("`{name}` is a table: write `[{name}]` and its keys in lines below it");
        return Err(fail(None, reason));
    };
    for (key, value) in table {
        let offset = Some(key.span().start);
        let setting = (group.settings.iter()).find(|setting| setting.key == *key.get_ref());
        let Some(setting) = setting else {
            return Err(fail(offset, unknown_key(group, key.get_ref())));
        };
        let path = format!("`{name}.{key}`", key = setting.key);
        let offset = Some(value.span().start);
        let texts = texts(setting, value.get_ref())
            .map_err(|remedy| fail(offset, format!("{path}: {remedy}")))?;
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        (setting.set)(&mut flags.config, &texts).map_err(|wrong| {
            let shown = match setting.shape {
                #[cfg(feature = "tls")]
                Shape::Secret => "***",
                _ => &wrong.text,
            };
            let reason = format!("{path}: invalid value '{shown}': {}", wrong.remedy);
            fail(offset, reason)
        })?;
        flags.origins.insert(setting.name, place(offset).1);
    }
    Ok(())
}

/// Returns the texts of a value, or what to give instead of a value of this type.
fn texts(setting: &Setting, value: &DeValue<'_>) -> Result<Vec<String>, &'static str> {
    let text = match (setting.shape, value) {
        (Shape::List(_), DeValue::Array(items)) => {
            let text = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
                DeValue::String(text) => Ok(text.to_string()),
                _ => Err("give a list of strings"),
            };
            return items.iter().map(text).collect();
        }
        (Shape::List(_), DeValue::String(text)) => {
            return Ok(setting
                .shape
                .split(text)
                .into_iter()
                .map(str::to_owned)
                .collect());
        }
        (Shape::List(_), _) => return Err("give a list of strings"),
        (Shape::Switch, DeValue::Boolean(value)) => value.to_string(),
        (Shape::Switch, _) => return Err("give true or false, without quotes"),
        (Shape::Number, DeValue::Integer(number)) if number.radix() == 10 => {
            number.as_str().replace('_', "")
        }
        (Shape::Number, DeValue::Float(number)) => number.as_str().replace('_', ""),
        (Shape::Number, DeValue::String(text)) => text.to_string(),
        (Shape::Number, _) => return Err("give a number"),
        (_, DeValue::String(text)) => text.to_string(),
        (_, _) => return Err("give a string, in quotes"),
    };
    Ok(vec![text])
}

fn unknown_group(name: &str) -> String {
    if let Some((group, setting)) = setting_of_flag(name) {
        return format!(
            "`{name}` is the key `{}` of the table `[{group}]`",
            setting.key
        );
    }
    let names = GROUPS.iter().map(|group| group.name);
    format!("there is no table `[{name}]`{}", suggestion(name, names))
}

fn unknown_key(group: &Group, key: &str) -> String {
    let path = format!("`{}.{key}`", group.name);
    if let Some((group, setting)) = setting_of_flag(key) {
        return format!(
            "there is no setting {path}; --{key} is `{group}.{}`",
            setting.key
        );
    }
    let keys = group.settings.iter().map(|setting| setting.key.as_str());
    format!("there is no setting {path}{}", suggestion(key, keys))
}

fn setting_of_flag(flag: &str) -> Option<(&'static str, &'static Setting)> {
    let flag = flag.replace('_', "-");
    GROUPS.iter().find_map(|group| {
        let setting = group.settings.iter().find(|setting| setting.flag == flag);
        setting.map(|setting| (group.name, setting))
    })
}

/// Returns `; did you mean ...?` if one of `names` is near.
fn suggestion<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let name = name.replace('_', "-");
    let near = names
        .map(|other| (strsim::jaro_winkler(&name, other), other))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    near.map_or_else(String::new, |(_, other)| {
        format!("; did you mean `{other}`?")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::time::Duration;

    use super::*;
    use crate::config::Config;

    fn read_text(text: &str) -> Result<Flags, String> {
        let mut flags = Flags {
            config: Config::default(),
            origins: HashMap::new(),
        };
        parse(text, Path::new("FILE"), &mut flags).map(|()| flags)
    }

    /// Returns the line of the file that a setting comes from.
    fn line(flags: &Flags, name: &str) -> usize {
        match &flags.origins[name] {
            Origin::File(_, line) => *line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_shape_of_value_is_read() {
        let flags = read_text(
            "[timeouts]\nkeep-alive = 7.5\ngraceful-shutdown = \"none\"\n[log]\naccess = true\n\
             [limits]\nmax-request-head = \"64KiB\"\n[http]\nversions = \"1\"\n\
             headers = [\"x-one: 1\", \"x-two: 2\"]\n[listen]\nbind = \"[::1]:1,unix:/a\"\n\
             backlog = 1_000\n",
        )
        .unwrap();
        assert_eq!(line(&flags, "timeout_keep_alive"), 2);
        assert_eq!(line(&flags, "backlog"), 13);
        let config = flags.into_config();
        assert_eq!(config.timeouts.keep_alive, Duration::from_millis(7500));
        assert_eq!(config.timeouts.graceful_shutdown, None);
        assert!(config.log.access);
        assert_eq!(config.limits.max_request_head, 65536);
        assert_eq!(config.http.headers.len(), 2);
        assert_eq!(config.listen.bind.len(), 2);
        assert_eq!(config.listen.backlog, 1000);
    }

    #[test]
    fn a_file_cannot_forge_a_line_of_its_error() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[listen]\nhost = \"a\\nb\\u001b[31m\"")
            .unwrap();
        let matches = <Flags as clap::Args>::augment_args(clap::Command::new("test"))
            .no_binary_name(true)
            .mut_args(|arg| arg.env(None::<&str>))
            .get_matches_from(["--config", file.path().to_str().unwrap()]);
        let error = <Flags as clap::FromArgMatches>::from_arg_matches(&matches).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(r"invalid value 'a\nb\u{1b}[31m'"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_a_remedy() {
        for (text, expected) in [
            (
                "[timeouts]\n\nkeep-alve = 5",
                "FILE:3: there is no setting `timeouts.keep-alve`; did you mean `keep-alive`?",
            ),
            (
                "[timeouts]\nkeep_alive = 5",
                "FILE:2: there is no setting `timeouts.keep_alive`; did you mean `keep-alive`?",
            ),
            (
                "[timeouts]\ntimeout-keep-alive = 5",
                "FILE:2: there is no setting `timeouts.timeout-keep-alive`; --timeout-keep-alive is `timeouts.keep-alive`",
            ),
            (
                "\n[timeout]\nwrite = 1",
                "FILE:2: there is no table `[timeout]`; did you mean `timeouts`?",
            ),
            (
                "port = 80",
                "FILE:1: `port` is the key `port` of the table `[listen]`",
            ),
            ("qqq = 80", "FILE:1: there is no table `[qqq]`"),
            (
                "listen = 80",
                "FILE:1: `listen` is a table: write `[listen]` and its keys in lines below it",
            ),
            (
                "[listen]\nport = 65536",
                "FILE:2: `listen.port`: invalid value '65536': give a number from 0 to 65535; 0 picks a free port",
            ),
            (
                "[listen]\nport = 0x50",
                "FILE:2: `listen.port`: give a number",
            ),
            (
                "[listen]\nport = true",
                "FILE:2: `listen.port`: give a number",
            ),
            (
                "[listen]\nhost = 1",
                "FILE:2: `listen.host`: give a string, in quotes",
            ),
            (
                "[log]\naccess = \"yes\"",
                "FILE:2: `log.access`: give true or false, without quotes",
            ),
            (
                "[http]\nheaders = [1]",
                "FILE:2: `http.headers`: give a list of strings",
            ),
        ] {
            assert_eq!(read_text(text).unwrap_err(), expected);
        }
        let error = read_text("[listen]\nport = ").unwrap_err();
        assert!(error.starts_with("FILE:2: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
