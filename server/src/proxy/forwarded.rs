//! The field `Forwarded` (RFC 7239, 4).

/// What one proxy tells of the request that it has received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) node: Option<String>,
    pub(super) proto: Option<String>,
    pub(super) host: Option<String>,
}

/// Parses the value of one field line, and adds its elements. Returns `None` if the value is malformed,
/// or an element has a parameter twice.
pub(super) fn parse(value: &str, elements: &mut Vec<Element>) -> Option<()> {
    let mut rest = value;
    loop {
        let element = parse_element(&mut rest)?;
        // A list may have empty elements (RFC 9110, 5.6.1).
        elements.extend(element);
        if rest.is_empty() {
            return Some(());
        }
        rest = rest.strip_prefix(',')?;
    }
}

/// Parses an element up to its comma. Returns `Some(None)` for one without parameters.
fn parse_element(rest: &mut &str) -> Option<Option<Element>> {
    let mut element = Element::default();
    let mut names: Vec<&str> = Vec::new();
    loop {
        *rest = rest.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with([',', ';']) {
            let name = take_token(rest)?;
            *rest = rest.strip_prefix('=')?;
            let value = match rest.strip_prefix('"') {
                Some(quoted) => take_quoted(quoted, rest)?,
                None => take_token(rest)?.to_owned(),
            };
            if names.iter().any(|it| it.eq_ignore_ascii_case(name)) {
                return None;
            }
            names.push(name);
            match () {
                () if name.eq_ignore_ascii_case("for") => element.node = Some(value),
                () if name.eq_ignore_ascii_case("proto") => element.proto = Some(value),
                () if name.eq_ignore_ascii_case("host") => element.host = Some(value),
                () => {}
            }
            *rest = rest.trim_start_matches([' ', '\t']);
        }
        match rest.strip_prefix(';') {
            Some(next) => *rest = next,
            None => return Some((!names.is_empty()).then_some(element)),
        }
    }
}

fn take_token<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let is_token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
    let end = rest
        .bytes()
        .position(|it| !is_token(it))
        .unwrap_or(rest.len());
    let (token, after) = rest.split_at(end);
    *rest = after;
    (!token.is_empty()).then_some(token)
}

/// Takes a quoted string, of which `quoted` is the part after the first quote.
fn take_quoted<'a>(quoted: &'a str, rest: &mut &'a str) -> Option<String> {
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => {
                *rest = &quoted[index + 1..];
                return Some(value);
            }
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Option<Vec<Element>> {
        let mut elements = Vec::new();
        parse(value, &mut elements).map(|()| elements)
    }

    fn element(node: &str, proto: &str, host: &str) -> Element {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Element {
            node: text(node),
            proto: text(proto),
            host: text(host),
        }
    }

    #[test]
    fn elements_are_parsed_with_quotes_and_escapes() {
        for (value, expected) in [
            ("", vec![]),
            (" , ,", vec![]),
            ("for=192.0.2.1", vec![element("192.0.2.1", "", "")]),
            (
                "For=\"[2001:db8::1]:80\";PROTO=https;host=\"a:8\" , for=_x",
                vec![
                    element("[2001:db8::1]:80", "https", "a:8"),
                    element("_x", "", ""),
                ],
            ),
            (
                "for=\"a\\\"b,\\\\;\";by=me",
                vec![element("a\"b,\\;", "", "")],
            ),
            ("for=a;;proto=b;", vec![element("a", "b", "")]),
            ("secret=x", vec![element("", "", "")]),
        ] {
            assert_eq!(parsed(value), Some(expected), "{value:?}");
        }
    }

    #[test]
    fn malformed_values_are_refused_as_a_whole() {
        for value in [
            "for",
            "for=",
            "=a",
            "for = a",
            "for=a b",
            "for=a,proto",
            "for=\"a",
            "for=\"a\\",
            "for=\"a\"b",
            "for=a;for=b",
            "for=a;FOR=a",
            "for=[::1]",
            "for=a\\,b",
            "for=1.2.3.4:80",
        ] {
            assert_eq!(parsed(value), None, "{value:?}");
        }
    }
}
