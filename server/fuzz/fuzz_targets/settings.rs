//! The settings file: any text is read or refused. A refusal is one line that names a line of the file, and
//! what is read is written so that it is read as the same.

#![no_main]

#[allow(dead_code, unused_imports)]
#[path = "../../src/config/mod.rs"]
mod config;
#[allow(dead_code, unused_imports)]
#[path = "../../src/error.rs"]
mod error;
#[allow(dead_code, unused_imports)]
#[path = "../../src/proxy/mod.rs"]
mod proxy;

// The files are beside this one, and not in a folder of the module.
#[allow(dead_code, unused_imports)]
#[path = "."]
mod cli {
    use std::collections::HashMap;
    use std::path::Path;

    use crate::config::Config;

    #[path = "../../src/cli/file.rs"]
    mod file;
    #[path = "../../src/cli/flags.rs"]
    mod flags;

    /// Reads the text of a settings file.
    pub(crate) fn parse(text: &str) -> Result<Config, String> {
        let mut flags = flags::Flags {
            config: Config::default(),
            origins: HashMap::new(),
        };
        file::parse(text, Path::new("FILE"), &mut flags).map(|()| flags.into_config())
    }
}

use config::{Config, GROUPS};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match cli::parse(text) {
        Ok(config) => {
            let written = write(&config);
            let again = cli::parse(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
            assert_eq!(format!("{again:?}"), format!("{config:?}"), "{written}");
        }
        Err(error) => {
            let rest = error.strip_prefix("FILE:").expect("the name of the file");
            let (line, reason) = rest.split_once(": ").expect("a line, and a reason");
            let line: usize = line.parse().expect("the number of a line");
            assert!(
                (1..=text.matches('\n').count() + 1).contains(&line),
                "{error}"
            );
            assert!(!reason.is_empty());
        }
    }
});

/// Writes all settings, each value as a string or as a list of strings.
fn write(config: &Config) -> String {
    let mut text = String::new();
    for group in GROUPS.iter() {
        text += &format!("[{}]\n", group.name);
        for setting in &group.settings {
            let values = (setting.show)(config);
            let value = match setting.shape {
                config::Shape::List(_) => toml::Value::from(values),
                config::Shape::Switch => toml::Value::from(values[0] == "true"),
                _ if values.is_empty() => continue,
                _ => toml::Value::from(values[0].clone()),
            };
            text += &format!("{} = {value}\n", setting.key);
        }
    }
    text
}
