//! The words of JavaScript: names, marks, and what is neither (texts, comments, numbers, patterns). It knows enough to tell
//! which names a script uses, not whether the script is right; that is QuickJS's word.

use std::ops::Range;

/// What a stretch of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A name or keyword.
    Name,
    /// A mark of one character, or `=>` and `...`.
    Mark,
    /// A text in quotes.
    Text,
    /// A number, a pattern or a piece of a template.
    Other,
}

/// One word of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) range: Range<usize>,
}

/// Keywords after which a `/` begins a pattern.
const BEFORE_PATTERN: [&str; 14] = [
    "return",
    "typeof",
    "case",
    "in",
    "of",
    "delete",
    "void",
    "throw",
    "new",
    "instanceof",
    "do",
    "else",
    "await",
    "yield",
];

/// The words of a script, in their order; comments and spaces are left out. What does not end goes on to the end.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut reader = Reader { text, at: 0, found: Vec::new(), templates: Vec::new() };
    while reader.next() {}
    reader.found
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    found: Vec<Token>,
    /// For each template that is open, how many braces are open inside its `${`.
    templates: Vec<usize>,
}

impl Reader<'_> {
    /// Reads one word or gap; false at the end.
    fn next(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let mut chars = rest.chars();
        let Some(first) = chars.next() else {
            return false;
        };
        let second = chars.next();
        let begins_number = first.is_ascii_digit()
            || (first == '.' && second.is_some_and(|next| next.is_ascii_digit()));
        match first {
            _ if first.is_whitespace() => self.at += first.len_utf8(),
            '/' if second == Some('/') => {
                self.at += rest.find(['\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(rest.len());
            }
            '/' if second == Some('*') => {
                self.at += rest[2..].find("*/").map_or(rest.len(), |end| end + 4);
            }
            '\'' | '"' => self.take(Kind::Text, quoted(rest, first)),
            '`' => {
                self.at += 1;
                self.template();
            }
            '}' if self.templates.last() == Some(&0) => {
                self.templates.pop();
                self.at += 1;
                self.template();
            }
            '/' if self.begins_pattern() => self.take(Kind::Other, pattern(rest)),
            _ if begins_number => self.take(Kind::Other, number(rest)),
            _ if is_name(first) => {
                let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
                self.take(Kind::Name, end);
            }
            _ => self.mark(rest, first),
        }
        true
    }

    fn take(&mut self, kind: Kind, bytes: usize) {
        self.found.push(Token { kind, range: self.at..self.at + bytes });
        self.at += bytes;
    }

    fn mark(&mut self, rest: &str, first: char) {
        match (first, self.templates.last_mut()) {
            ('{', Some(open)) => *open += 1,
            ('}', Some(open)) => *open -= 1,
            _ => {}
        }
        let long = ["...", "=>"].into_iter().find(|mark| rest.starts_with(mark));
        self.take(Kind::Mark, long.map_or(first.len_utf8(), str::len));
    }

    /// Reads the text of a template up to its end or its next `${`.
    fn template(&mut self) {
        let start = self.at;
        let mut chars = self.text[start..].char_indices().peekable();
        let (mut end, mut opens) = (self.text.len(), false);
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => drop(chars.next()),
                '`' => {
                    end = start + at + 1;
                    break;
                }
                '$' if chars.peek().is_some_and(|(_, next)| *next == '{') => {
                    end = start + at + 2;
                    opens = true;
                    break;
                }
                _ => {}
            }
        }
        self.found.push(Token { kind: Kind::Other, range: start..end });
        self.at = end;
        if opens {
            self.templates.push(0);
        }
    }

    /// Whether a `/` here begins a pattern, and does not divide.
    fn begins_pattern(&self) -> bool {
        let Some(last) = self.found.last() else {
            return true;
        };
        let text = &self.text[last.range.clone()];
        match last.kind {
            Kind::Name => BEFORE_PATTERN.contains(&text),
            Kind::Mark => !matches!(text, ")" | "]" | "}"),
            // The piece of a template that opens a `${` ends with it.
            Kind::Other => text.ends_with("${"),
            Kind::Text => false,
        }
    }
}

/// Whether a name may have it; a `\` is the beginning of a letter written as its number.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '\\' | '\u{200c}' | '\u{200d}')
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '\n' => return at,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn pattern(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    let mut in_class = false;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            '[' => in_class = true,
            ']' => in_class = false,
            '\n' => return at,
            '/' if !in_class => {
                let flags = rest[at + 1..].find(|c| !is_name(c)).unwrap_or(rest.len() - at - 1);
                return at + 1 + flags;
            }
            _ => {}
        }
    }
    rest.len()
}

fn number(rest: &str) -> usize {
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        let sign = matches!(c, '+' | '-')
            && matches!(before, 'e' | 'E')
            && !rest.starts_with("0x")
            && !rest.starts_with("0X");
        if !(is_name(c) || c == '.' || sign) {
            return at;
        }
        before = c;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<&str> {
        let all = tokens(text);
        all.iter().filter(|t| t.kind == Kind::Name).map(|t| &text[t.range.clone()]).collect()
    }

    #[test]
    fn names_are_told_from_texts_comments_patterns_and_templates() {
        for (text, expected) in [
            ("a + b", vec!["a", "b"]),
            ("'a' + \"b\\\"c\" + d", vec!["d"]),
            ("a // b\n + c /* d */ / e", vec!["a", "c", "e"]),
            ("/a[/]b/g.test(c) / d / e", vec!["test", "c", "d", "e"]),
            ("`a ${b + `c${d}`} e ${ {f: 1}.f } g` + h", vec!["b", "d", "f", "f", "h"]),
            ("1e5 + 0xffn + .5e-3 + a1", vec!["a1"]),
            ("(a) / b / c", vec!["a", "b", "c"]),
            ("`${/}`/.test(a)}` + b", vec!["test", "a", "b"]),
            ("größe + ça", vec!["größe", "ça"]),
            ("'not closed\n + a", vec!["a"]),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }
}
