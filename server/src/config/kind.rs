//! How the value of a setting is written as text: on the command line, in a variable, and in a file.

/// The texts of one kind of value.
pub(crate) trait Kind {
    type Value;

    /// Returns the word for the value in the help, such as `SECONDS`.
    fn name(&self) -> &'static str;

    fn shape(&self) -> Shape;

    /// Reads a value. The error is the text that is wrong, and what to give instead.
    fn parse(&self, texts: &[&str]) -> Result<Self::Value, WrongText>;

    /// Returns the texts that are read as this value again; none for a value that is not set.
    fn show(&self, value: &Self::Value) -> Vec<String>;

    /// Reads the default of a setting. A list that is empty is written as `none`.
    fn default(&self, text: &'static str) -> Self::Value {
        let texts = match self.shape() {
            Shape::List(_) if text == "none" => Vec::new(),
            shape => shape.split(text),
        };
        match self.parse(&texts) {
            Ok(value) => value,
            Err(wrong) => panic!("a wrong default, {:?}: {}", wrong.text, wrong.remedy),
        }
    }
}

/// How a value is written in a file, and how a text is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `true` or `false`.
    Switch,
    /// A number, or a word such as `"none"` in its place.
    Number,
    /// A text.
    Text,
    /// A text that is not shown to users.
    #[cfg(feature = "tls")]
    Secret,
    /// A list of texts. A variable has them in one text, with this separator.
    List(char),
}

impl Shape {
    /// Divides a default, or the text of a flag or a variable, into the texts of a value.
    pub(crate) fn split(self, text: &str) -> Vec<&str> {
        match self {
            Self::List(separator) => (text.split(separator).map(str::trim))
                .filter(|item| !item.is_empty())
                .collect(),
            _ => vec![text],
        }
    }
}

/// A text that is not a value of its setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WrongText {
    pub(crate) text: String,
    /// What to give instead: `give a number ...`.
    pub(crate) remedy: &'static str,
}

/// A value, or what to give instead of the text.
pub(crate) type Parsed<T> = Result<T, &'static str>;

/// A kind of value that is one text.
#[derive(Debug)]
pub(crate) struct One<T> {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) parse: fn(&str) -> Parsed<T>,
    pub(crate) show: fn(&T) -> String,
}

impl<T: ToString> One<T> {
    /// Returns a kind of numbers.
    pub(crate) const fn number(name: &'static str, parse: fn(&str) -> Parsed<T>) -> Self {
        Self {
            name,
            shape: Shape::Number,
            parse,
            show: T::to_string,
        }
    }
}

impl<T> Kind for One<T> {
    type Value = T;

    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> Shape {
        self.shape
    }

    fn parse(&self, texts: &[&str]) -> Result<T, WrongText> {
        let text = texts.last().copied().unwrap_or_default();
        (self.parse)(text).map_err(wrong(text))
    }

    fn show(&self, value: &T) -> Vec<String> {
        vec![(self.show)(value)]
    }
}

/// A kind of value that is one of a few words.
#[derive(Debug)]
pub(crate) struct Choice<T: 'static> {
    pub(crate) name: &'static str,
    /// The words, each with its value. The first word of a value is shown; the others are understood too.
    pub(crate) words: &'static [(&'static str, T)],
    /// What to give instead of another word.
    pub(crate) remedy: &'static str,
}

impl<T: Copy + PartialEq> Kind for Choice<T> {
    type Value = T;

    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> Shape {
        Shape::Text
    }

    fn parse(&self, texts: &[&str]) -> Result<T, WrongText> {
        let text = texts.last().copied().unwrap_or_default();
        let found = self.words.iter().find(|(word, _)| *word == text);
        found.map_or_else(|| Err(wrong(text)(self.remedy)), |(_, value)| Ok(*value))
    }

    fn show(&self, value: &T) -> Vec<String> {
        let found = self.words.iter().find(|(_, of_word)| of_word == value);
        found
            .map(|(word, _)| (*word).to_owned())
            .into_iter()
            .collect()
    }
}

/// A kind of value that is a list of texts.
#[derive(Debug)]
pub(crate) struct Many<T> {
    pub(crate) name: &'static str,
    pub(crate) separator: char,
    pub(crate) parse: fn(&str) -> Parsed<T>,
    pub(crate) show: fn(&T) -> String,
}

impl<T> Kind for Many<T> {
    type Value = Vec<T>;

    fn name(&self) -> &'static str {
        self.name
    }

    fn shape(&self) -> Shape {
        Shape::List(self.separator)
    }

    fn parse(&self, texts: &[&str]) -> Result<Vec<T>, WrongText> {
        let read = |text: &&str| (self.parse)(text).map_err(wrong(text));
        texts.iter().map(read).collect()
    }

    fn show(&self, value: &Vec<T>) -> Vec<String> {
        value.iter().map(self.show).collect()
    }
}

fn wrong(text: &str) -> impl Fn(&'static str) -> WrongText {
    let text = text.to_owned();
    move |remedy| WrongText {
        text: text.clone(),
        remedy,
    }
}
