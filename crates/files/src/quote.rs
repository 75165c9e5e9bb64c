//! Quotes around the fields of CSV and TSV: taken off and put on.

use std::borrow::Cow;

/// The content of a field that begins with a quote. What follows the closing quote, if anything, belongs to it as it is.
pub(crate) fn unquote(raw: &str) -> Cow<'_, str> {
    let inner = raw.strip_prefix('"').unwrap_or(raw);
    if let Some(whole) = inner.strip_suffix('"').filter(|whole| !whole.contains('"')) {
        return Cow::Borrowed(whole);
    }
    let mut content = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('"') {
        content.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                content.push('"');
                rest = after;
            }
            None => break,
        }
    }
    content.push_str(rest);
    Cow::Owned(content)
}

/// Adds `text` to `row` as one field, in quotes only where it needs them.
///
/// `alone` says that it is the only field of its record, which an empty one must not leave blank.
pub(crate) fn push_field(row: &mut Vec<u8>, text: &str, delimiter: u8, alone: bool) {
    let special = |byte: u8| byte == delimiter || matches!(byte, b'"' | b'\r' | b'\n');
    // At the beginning of a file a byte order mark would be taken off by the next reader.
    let marked = text.starts_with('\u{feff}');
    let quoted = (alone && text.is_empty()) || marked || text.bytes().any(special);
    if !quoted {
        row.extend_from_slice(text.as_bytes());
        return;
    }
    row.push(b'"');
    for (index, part) in text.split('"').enumerate() {
        if index > 0 {
            row.extend_from_slice(b"\"\"");
        }
        row.extend_from_slice(part.as_bytes());
    }
    row.push(b'"');
}
