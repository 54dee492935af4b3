//! Page bounds: cut to a length that keeps the footer small, and still bounds.

/// Longest bound in bytes. Go writers cut at 16, which tells few pod names of one deployment apart.
const MAX_LEN: usize = 64;

/// A string not above `value`, and whether it is `value` itself.
pub(crate) fn lower_bound(value: &str) -> (&str, bool) {
    let bound = &value[..value.floor_char_boundary(MAX_LEN)];
    (bound, bound.len() == value.len())
}

/// A string not below `value`, and whether it is `value` itself.
pub(crate) fn upper_bound(value: &str) -> (String, bool) {
    let mut bound = value[..value.floor_char_boundary(MAX_LEN)].to_owned();
    if bound.len() == value.len() {
        return (bound, true);
    }
    while let Some(last) = bound.pop() {
        if let Some(next) = next_char(last) {
            bound.push(next);
            return (bound, false);
        }
    }
    (value.to_owned(), true) // nothing but U+10FFFF
}

fn next_char(c: char) -> Option<char> {
    match c {
        '\u{d7ff}' => Some('\u{e000}'),
        c => char::from_u32(u32::from(c) + 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn are_bounds(value in "(\u{10ffff}|\u{d7ff}|[a-z]|é){0,90}") {
            let ((low, low_exact), (high, high_exact)) = (lower_bound(&value), upper_bound(&value));
            prop_assert!(low <= value.as_str() && value.as_str() <= high.as_str());
            prop_assert_eq!(low_exact, low == value);
            prop_assert_eq!(high_exact, high == value);
            let short = low.len() <= MAX_LEN && (high.len() <= MAX_LEN + 3 || value.starts_with(char::MAX));
            prop_assert!(short);
        }
    }
}
