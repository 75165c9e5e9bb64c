//! Paths and bounds as SQLite takes them.

use super::*;

#[test]
fn paths_are_quoted_and_do_not_begin_again_at_0() {
    let steps = [PathStep::Key("a\"b.c".into()), PathStep::Index(3), PathStep::Index(usize::MAX)];
    assert_eq!(path(&steps), "$.\"a\\\"b.c\"[3][2147483647]");
}

#[test]
fn the_next_text_is_the_first_that_begins_otherwise() {
    let cases = [
        ("a", Some("b")),
        ("a\u{10FFFF}", Some("b")),
        ("\u{D7FF}", Some("\u{E000}")),
        ("\u{10FFFF}", None),
        ("\0", Some("\u{1}")),
    ];
    for (start, wanted) in cases {
        assert_eq!(next_text(start).as_deref(), wanted, "{start:?}");
    }
}
