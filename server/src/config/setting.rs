//! The table of settings: each setting is defined once, by [`settings!`].

use std::sync::LazyLock;

use super::kind::{Shape, WrongText};
use super::{Config, groups};

/// A group of settings: a field of [`Config`], a table of the file, a heading of the help.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) name: &'static str,
    /// The lines of the documentation.
    pub(crate) doc: &'static [&'static str],
    pub(crate) settings: Vec<Setting>,
}

/// One setting: a field of its group, a flag, a variable, and a key of the file.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The name of its flag with `_` for `-`, and of its method of [`Config`].
    pub(crate) name: &'static str,
    /// The flag without `--`: `timeout-keep-alive`.
    pub(crate) flag: String,
    /// The flag that switches a switch off, without `--`: `no-access-log`.
    pub(crate) opposite: String,
    /// The environment variable: `CALLGATE_TIMEOUT_KEEP_ALIVE`.
    pub(crate) variable: String,
    /// The key in its table of the file: `keep-alive`.
    pub(crate) key: String,
    /// The lines of the documentation. The first paragraph is a summary.
    pub(crate) doc: &'static [&'static str],
    pub(crate) default: &'static str,
    /// The word for the value.
    pub(crate) value_name: &'static str,
    pub(crate) shape: Shape,
    /// Checks texts without setting the field.
    pub(crate) check: fn(&[&str]) -> Result<(), WrongText>,
    /// Sets the field.
    pub(crate) set: fn(&mut Config, &[&str]) -> Result<(), WrongText>,
    /// Returns the texts of the field's value; none if it is not set.
    pub(crate) show: fn(&Config) -> Vec<String>,
}

/// The parts of a setting that [`settings!`] writes down.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) field: &'static str,
    pub(super) doc: &'static [&'static str],
    pub(super) default: &'static str,
    pub(super) value_name: &'static str,
    pub(super) shape: Shape,
    pub(super) check: fn(&[&str]) -> Result<(), WrongText>,
    pub(super) set: fn(&mut Config, &[&str]) -> Result<(), WrongText>,
    pub(super) show: fn(&Config) -> Vec<String>,
}

impl From<Definition> for Setting {
    fn from(definition: Definition) -> Self {
        let flag = definition.name.replace('_', "-");
        Self {
            variable: format!("CALLGATE_{}", definition.name.to_uppercase()),
            key: definition.field.replace('_', "-"),
            opposite: format!("no-{flag}"),
            flag,
            name: definition.name,
            doc: definition.doc,
            default: definition.default,
            value_name: definition.value_name,
            shape: definition.shape,
            check: definition.check,
            set: definition.set,
            show: definition.show,
        }
    }
}

impl Setting {
    /// Returns the paragraphs of the documentation. The first is a summary of one sentence.
    pub(crate) fn paragraphs(&self) -> impl Iterator<Item = String> {
        paragraphs(self.doc)
    }
}

/// Returns the paragraphs of lines of documentation.
pub(crate) fn paragraphs(doc: &'static [&'static str]) -> impl Iterator<Item = String> {
    doc.split(|line| line.is_empty()).map(|lines| {
        lines
            .iter()
            .map(|line| line.trim())
            .collect::<Vec<_>>()
            .join(" ")
    })
}

/// All settings, in the order in which a reader meets them.
pub(crate) static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(groups);

/// Returns the setting whose method of [`Config`] has this name.
pub(crate) fn find(name: &str) -> Option<(&'static Group, &'static Setting)> {
    all().find(|(_, setting)| setting.name == name)
}

/// Returns all settings, each with its group.
pub(crate) fn all() -> impl Iterator<Item = (&'static Group, &'static Setting)> {
    let of = |group: &'static Group| group.settings.iter().map(move |setting| (group, setting));
    GROUPS.iter().flat_map(of)
}

/// Defines a group of settings: a struct with a field for each setting, its defaults, a method of
/// [`Config`] for each setting, and the group's part of the table.
///
/// A setting is `method => field: (type) = default as kind;`. The default is written as a user writes
/// it. `[type]` is a list: the field is a `Vec`, and the method adds to it.
macro_rules! settings {
    (
        $(#[doc = $group_doc:literal])+
        $group:ident: $Group:ident {
            $(
                $(#[doc = $doc:literal])+
                $name:ident => $field:ident: $type:tt = $default:literal as $kind:expr;
            )+
        }
    ) => {
        $(#[doc = $group_doc])+
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        pub struct $Group {
            $(
                $(#[doc = $doc])+
                #[doc = ""]
                #[doc = concat!(
                    "Default `", $default, "`. Set by [`Config::", stringify!($name),
                    "`](crate::Config::", stringify!($name), ")."
                )]
                pub $field: $crate::config::setting::field_type!($type),
            )+
        }

        impl Default for $Group {
            fn default() -> Self {
                Self {
                    $($field: $crate::config::kind::Kind::default(&$kind, $default),)+
                }
            }
        }

        impl $Group {
            pub(super) fn group() -> $crate::config::setting::Group {
                use $crate::config::kind::Kind as _;
                $crate::config::setting::Group {
                    name: stringify!($group),
                    doc: &[$($group_doc),+],
                    settings: vec![
                        $(
                            $crate::config::setting::Definition {
                                name: stringify!($name),
                                field: stringify!($field),
                                doc: &[$($doc),+],
                                default: $default,
                                value_name: $kind.name(),
                                shape: $kind.shape(),
                                check: |texts| $kind.parse(texts).map(drop),
                                set: |config, texts| {
                                    config.$group.$field = $kind.parse(texts)?;
                                    Ok(())
                                },
                                show: |config| $kind.show(&config.$group.$field),
                            }
                            .into(),
                        )+
                    ],
                }
            }
        }

        #[doc = concat!("The settings of [`", stringify!($Group), "`].")]
        impl $crate::config::Config {
            $(
                $crate::config::setting::method!($group: $Group, $name => $field: $type);
            )+
        }
    };
}

/// The type of a field.
macro_rules! field_type {
    (($type:ty)) => { $type };
    ([$item:ty]) => { Vec<$item> };
}

/// The method of [`Config`] that sets a field, or adds to a list.
macro_rules! method {
    ($group:ident: $Group:ident, $name:ident => $field:ident: ($type:ty)) => {
        #[doc = concat!("Sets [`", stringify!($Group), "::", stringify!($field), "`].")]
        #[must_use]
        pub fn $name(mut self, value: $type) -> Self {
            self.$group.$field = value;
            self
        }
    };
    ($group:ident: $Group:ident, $name:ident => $field:ident: [$item:ty]) => {
        #[doc = concat!("Adds to [`", stringify!($Group), "::", stringify!($field), "`].")]
        #[must_use]
        pub fn $name(mut self, item: impl Into<$item>) -> Self {
            self.$group.$field.push(item.into());
            self
        }
    };
}

pub(super) use {field_type, method, settings};
