//! Lists and dictionaries of RFC 9651 ("Structured Field Values for HTTP"), as much of them as the RateLimit fields use:
//! items with parameters, whose strings may hold commas. Nothing is copied; a malformed value is refused whole, as the
//! draft demands.

/// Of more members in one field only the first are read.
const MEMBERS_MAX: usize = 16;

/// A member of a list (no key) or of a dictionary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Member<'a> {
    pub(super) key: Option<&'a str>,
    /// What stands between the quotes of a string, between the colons of bytes, or the bare number or token.
    pub(super) value: &'a str,
    params: &'a str,
}

impl<'a> Member<'a> {
    /// The value of a parameter; of several the last, as RFC 9651 has it.
    pub(super) fn param(&self, wanted: &str) -> Option<&'a str> {
        let mut rest = self.params;
        let mut found = None;
        while let Some((key, value, after)) = param(rest) {
            if key == wanted {
                found = value;
            }
            rest = after;
        }
        found
    }
}

/// The members of a field's value, or `None` if it is malformed.
pub(super) fn members(text: &str) -> Option<Vec<Member<'_>>> {
    let mut members = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && members.len() < MEMBERS_MAX {
        let (member, after) = member(rest)?;
        members.push(member);
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(members)
}

fn member(text: &str) -> Option<(Member<'_>, &str)> {
    let (mut value, mut rest) = bare(text)?;
    let mut key = None;
    if let Some(after) = rest.strip_prefix('=') {
        key = Some(value);
        (value, rest) = bare(after)?;
    }
    let params = rest;
    while let Some((_, _, after)) = param(rest) {
        rest = after;
    }
    let params = params.get(..params.len() - rest.len())?;
    Some((Member { key, value, params }, rest))
}

/// `;key` or `;key=value`, and what follows it.
fn param(text: &str) -> Option<(&str, Option<&str>, &str)> {
    let (key, rest) = token(text.trim_start().strip_prefix(';')?.trim_start())?;
    match rest.strip_prefix('=') {
        Some(after) => bare(after).map(|(value, rest)| (key, Some(value), rest)),
        None => Some((key, None, rest)),
    }
}

/// A string, bytes, or anything without a delimiter.
fn bare(text: &str) -> Option<(&str, &str)> {
    if let Some(inside) = text.strip_prefix('"') {
        let mut escaped = false;
        let end = inside.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        return Some((inside.get(..end)?, inside.get(end + 1..)?));
    }
    if let Some(inside) = text.strip_prefix(':') {
        return inside.split_once(':');
    }
    token(text)
}

fn token(text: &str) -> Option<(&str, &str)> {
    let end = text.find([' ', '\t', ',', ';', '=', '"']).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(Option<&str>, &str)>> {
        Some(members(text)?.iter().map(|member| (member.key, member.value)).collect())
    }

    #[test]
    fn commas_and_quotes_inside_a_string_end_nothing() {
        let text = r#""a, \"b\";q=9";q=1;comment="x, y;q=3" , :YSxi:;q=2,c ; q=4"#;
        let members = members(text).unwrap();
        let values: Vec<_> = members.iter().map(|member| member.value).collect();
        assert_eq!(values, [r#"a, \"b\";q=9"#, "YSxi", "c"]);
        let params: Vec<_> = members.iter().map(|member| member.param("q")).collect();
        assert_eq!(params, [Some("1"), Some("2"), Some("4")]);
        assert_eq!(members[0].param("comment"), Some("x, y;q=3"));
        assert_eq!(members[0].param("w"), None);
    }

    #[test]
    fn dictionaries_have_keys_and_the_last_parameter_counts() {
        let wanted = vec![(Some("limit"), "100"), (Some("reset"), "5")];
        assert_eq!(read("limit=100, reset=5"), Some(wanted));
        assert_eq!(members("5;w=1;w=2;x").unwrap()[0].param("w"), Some("2"));
        assert_eq!(read(""), Some(vec![]));
    }

    #[test]
    fn the_malformed_is_refused_whole() {
        for text in [
            r#""open"#, "a b", ",a", "a,,b", "a;=1", "a;b=", "=1", "a=", ":abc", "(a b)", r#""a"x"#,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_list_without_end_has_an_end() {
        assert_eq!(members(&"1,".repeat(1_000)).unwrap().len(), MEMBERS_MAX);
    }
}
