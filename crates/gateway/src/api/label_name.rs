//! Names of labels in paths: as they are, or escaped (`U__http_2e_status`), as Prometheus' clients write names that are no
//! identifiers.

/// The name that an escaped one stands for; text that is not escaped correctly stands for itself.
pub(crate) fn unescape(text: &str) -> String {
    text.strip_prefix("U__").and_then(decode).unwrap_or_else(|| text.to_owned())
}

fn decode(escaped: &str) -> Option<String> {
    let mut name = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        let (plain, after) = rest.split_at(at);
        name.push_str(plain);
        let after = after.strip_prefix('_')?;
        if let Some(after) = after.strip_prefix('_') {
            name.push('_');
            rest = after;
            continue;
        }
        let (digits, after) = after.split_once('_')?;
        if digits.len() > 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        name.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
        rest = after;
    }
    name.push_str(rest);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::unescape;

    /// Of Prometheus' own tests of names, and what it leaves as it is.
    #[test]
    fn unescapes() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__http_2E_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U__no:escaping__required", "no:escaping_required"),
            ("U___1f600_", "\u{1f600}"),
            ("U__caf_e9_", "café"),
            ("U__bad_", "U__bad_"),
            ("U__bad_zz_", "U__bad_zz_"),
            ("U__bad_d900_", "U__bad_d900_"),
            ("U__bad_1234567_", "U__bad_1234567_"),
            ("U__", ""),
        ] {
            assert_eq!(unescape(escaped), name, "{escaped}");
        }
    }
}
