//! Escapes for text from outside, before it is printed on a line of a log.

use std::fmt::{self, Write as _};

/// Displays a value in such a way that it can neither end its line nor disguise what the line says.
///
/// Characters that end or rewrite a line (control characters, U+2028, U+2029), that change the
/// order of what a reader sees (U+202A to U+202E, U+2066 to U+2069) or that are invisible
/// (U+200B to U+200F, U+FEFF and the rest of Unicode's `Default_Ignorable_Code_Point`) are written as
/// `\n` or `\u{202e}`. The variation selectors of emoji are left as they are.
///
/// Text from outside is displayed by this type before it goes to a log: errors, panics and events
/// of an application, and everything that a client sent. Otherwise a line break in the text forges
/// a line of the log.
///
/// ```
/// use callgate_drive::Escaped;
///
/// assert_eq!(Escaped("gone\nINFO all is well").to_string(), r"gone\nINFO all is well");
/// assert_eq!(Escaped("Grüße, \"Ada\"").to_string(), "Grüße, \"Ada\"");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Escaped<T>(pub T);

impl<T: fmt::Display> fmt::Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Escaping {
            inner: f,
            is_deceptive,
        };
        write!(writer, "{}", self.0)
    }
}

/// As [`Escaped`], for text between double quotes: quotes and backslashes are escaped as well.
#[derive(Clone, Copy, Debug)]
pub struct EscapedInQuotes<T>(pub T);

impl<T: fmt::Display> fmt::Display for EscapedInQuotes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Escaping {
            inner: f,
            is_deceptive: |character| matches!(character, '"' | '\\') || is_deceptive(character),
        };
        write!(writer, "{}", self.0)
    }
}

/// A writer that escapes text and passes it on.
struct Escaping<'a, 'b> {
    inner: &'a mut fmt::Formatter<'b>,
    is_deceptive: fn(char) -> bool,
}

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut written = 0;
        for (at, character) in text.char_indices() {
            if (self.is_deceptive)(character) {
                self.inner.write_str(&text[written..at])?;
                write!(self.inner, "{}", character.escape_default())?;
                written = at + character.len_utf8();
            }
        }
        self.inner.write_str(&text[written..])
    }
}

/// Returns whether a character can make a line of the log look like another. [`Escaped`] escapes it.
#[must_use]
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_end_reorder_or_hide_text_are_escaped() {
        for (character, escape) in [
            ('\n', r"\n"),
            ('\r', r"\r"),
            ('\u{1b}', r"\u{1b}"),
            ('\u{7f}', r"\u{7f}"),
            ('\u{85}', r"\u{85}"),
            ('\u{200b}', r"\u{200b}"),
            ('\u{200f}', r"\u{200f}"),
            ('\u{2028}', r"\u{2028}"),
            ('\u{2029}', r"\u{2029}"),
            ('\u{202a}', r"\u{202a}"),
            ('\u{202e}', r"\u{202e}"),
            ('\u{2065}', r"\u{2065}"),
            ('\u{2066}', r"\u{2066}"),
            ('\u{2069}', r"\u{2069}"),
            ('\u{feff}', r"\u{feff}"),
            ('\u{fff8}', r"\u{fff8}"),
            ('\u{e0001}', r"\u{e0001}"),
        ] {
            let text = format!("a{character}b{character}");
            let expected = format!("a{escape}b{escape}");
            assert_eq!(Escaped(&text).to_string(), expected);
            assert_eq!(EscapedInQuotes(&text).to_string(), expected);
        }
    }

    #[test]
    fn text_in_any_language_is_left_as_it_is() {
        let text = "Grüße, 世界 السلام नमस्ते ❤\u{fe0f} e\u{301} 'x'";
        assert_eq!(Escaped(text).to_string(), text);
        assert_eq!(EscapedInQuotes(text).to_string(), text);
    }

    #[test]
    fn quotes_and_backslashes_are_escaped_between_quotes_only() {
        let text = r#"C:\ "x""#;
        assert_eq!(Escaped(text).to_string(), text);
        assert_eq!(EscapedInQuotes(text).to_string(), r#"C:\\ \"x\""#);
    }

    #[test]
    fn a_value_that_is_displayed_in_pieces_is_escaped_in_each() {
        let value = format_args!("{}{}", "a\n", '\u{202e}').to_string();
        assert_eq!(
            Escaped(format_args!("{value}\r")).to_string(),
            r"a\n\u{202e}\r"
        );
    }
}
