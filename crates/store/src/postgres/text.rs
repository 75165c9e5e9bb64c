//! Text as PostgreSQL can keep it: everything but the character NUL, which it has no place for.
//!
//! A NUL is written as U+FDD0 and `0`, and U+FDD0 itself, which Unicode keeps free for uses like this one, as U+FDD0 and
//! `1`. All other text stands in the database as it is, for filters, sorts and people.

use std::borrow::Cow;

const ESCAPE: char = '\u{FDD0}';

/// Text on its way in.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, '1']),
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Text on its way out. What an SQL shell has written with an escape that is none stays as it is.
pub(super) fn unescaped(text: String) -> String {
    if !text.contains(ESCAPE) {
        return text;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let meant = match (c, rest.peek()) {
            (ESCAPE, Some('0')) => Some('\0'),
            (ESCAPE, Some('1')) => Some(ESCAPE),
            _ => None,
        };
        match meant {
            Some(meant) => {
                plain.push(meant);
                rest.next();
            }
            None => plain.push(c),
        }
    }
    plain
}

/// A key that sorts as the text does, by code points: a kept NUL would come late. [`order_key_sql`] is its twin.
pub(super) fn order_key(text: &str) -> String {
    text.replace('\u{1}', "\u{1}\u{2}").replace('\0', "\u{1}\u{1}")
}

/// The [`order_key`] of kept text.
pub(super) fn order_key_sql(kept: &str) -> String {
    format!(
        r"replace(replace(replace({kept}, E'\x01', E'\x01\x02'), E'\uFDD00', E'\x01\x01'), E'\uFDD01', E'\uFDD0')"
    )
}

/// Kept JSON in which NULs stand as in other text: JSON has an escape for them that PostgreSQL does not look past.
pub(super) fn readable_json(kept: &str) -> String {
    format!(
        r"CASE WHEN strpos({kept}::text, E'\\u0000') = 0 THEN {kept} ELSE regexp_replace({kept}::text, E'(?<!\\\\)((\\\\\\\\)*)\\\\u0000', E'\\1\uFDD00', 'g')::json END"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_comes_back_and_holds_no_nul(text in "[\u{0}\u{FDD0}01a\u{1F980}]{0,12}|.*") {
            let kept = escaped(&text).into_owned();
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(unescaped(kept), text);
        }
    }

    proptest! {
        #[test]
        fn keys_are_in_the_order_of_their_texts(
            one in "[\u{0}\u{1}\u{2}\u{FDD0}01a]{0,6}",
            other in "[\u{0}\u{1}\u{2}\u{FDD0}01a]{0,6}",
        ) {
            prop_assert_eq!(order_key(&one).cmp(&order_key(&other)), one.cmp(&other));
        }
    }

    #[test]
    fn plain_text_is_not_touched() {
        assert!(matches!(escaped("it's \"quoted\""), Cow::Borrowed(_)));
        assert_eq!(unescaped("a \u{FDD0} b".to_owned()), "a \u{FDD0} b", "a shell's own");
    }
}
