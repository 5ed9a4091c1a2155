//! Filters of RQL, the resource query language.

use std::fmt;
use std::ops::BitAnd;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters of a value that are escaped: all that could be a part of the language.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A condition that resources of a collection match. Two filters are combined with `&`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter(Vec<String>);

impl Filter {
    /// Matches resources whose field, such as `marketplace.id`, has this value.
    pub(crate) fn eq(field: &str, value: &str) -> Self {
        let value = utf8_percent_encode(value, ESCAPED);
        Self(vec![format!("eq({field},{value})")])
    }
}

impl BitAnd for Filter {
    type Output = Self;

    fn bitand(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }
}

/// Writes the filter as it stands in a query, percent-encoded.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0[..] {
            [one] => f.write_str(one),
            several => write!(f, "and({})", several.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn filters_are_written_as_the_language_has_them() {
        let status = Filter::eq("status", "active");
        assert_eq!(status.to_string(), "eq(status,active)");
        let both = Filter::eq("marketplace.id", "MP-1") & status;
        assert_eq!(
            both.to_string(),
            "and(eq(marketplace.id,MP-1),eq(status,active))"
        );
    }

    #[test]
    fn a_value_cannot_add_to_the_filter() {
        let filter = Filter::eq("id", "MP-1),eq(a,b)&limit=5 ü");
        assert_eq!(
            filter.to_string(),
            "eq(id,MP-1%29%2Ceq%28a%2Cb%29%26limit%3D5%20%C3%BC)"
        );
    }
}
