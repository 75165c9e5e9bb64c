//! From text to parts: finds `{{ ... }}`, and takes what is between them apart.

use super::{Part, Reference, Step, TemplateError};

pub(super) fn parts(text: &str) -> Result<Vec<Part<Reference>>, TemplateError> {
    let mut parts = Vec::new();
    let mut in_string = JsonString::default();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|offset| at + offset) {
        let inside = open + 2;
        let close = closing(text, inside).ok_or_else(|| {
            syntax(text, open, "`{{` is never closed; write `}}` after the column's name")
        })?;
        push_literal(&mut parts, &text[at..open]);
        in_string.read(&text[at..open]);
        let reference = reference(text, inside, close, in_string.open)?;
        parts.push(Part::Reference(reference));
        at = close + 2;
    }
    push_literal(&mut parts, &text[at..]);
    Ok(parts)
}

/// `text` with its references renamed: `renamed` is asked with the reference as written, less the default, and with the
/// column it begins with, and says what to write in place of which of the two. All else stays to the letter.
pub(super) fn renamed(
    text: &str,
    renamed: &dyn Fn(&str, &str) -> Renamed,
) -> Result<String, TemplateError> {
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(inside) = text[at..].find("{{").map(|offset| at + offset + 2) {
        let close =
            closing(text, inside).ok_or_else(|| syntax(text, inside, "`{{` is never closed"))?;
        let written = &text[inside..close];
        let body = written.split_once("??").map_or(written, |(body, _)| body);
        let raw = body.trim();
        let (column, rest) = column(raw).map_err(|problem| syntax(text, inside, problem))?;
        let new = match renamed(raw, &column) {
            Renamed::Stays => raw.to_owned(),
            Renamed::Whole(name) => name,
            Renamed::Column(name) => name + rest,
        };
        let lead = body.len() - body.trim_start().len();
        out.push_str(&text[at..inside + lead]);
        out.push_str(&new);
        at = inside + lead + raw.len();
        out.push_str(&text[at..close]);
        at = close;
    }
    out.push_str(&text[at..]);
    Ok(out)
}

/// What becomes of a reference when a column is renamed.
pub(super) enum Renamed {
    /// It is about another column.
    Stays,
    /// All of it was the column's name.
    Whole(String),
    /// It begins with the column's name.
    Column(String),
}

/// Where the `}}` stands that closes a reference beginning at `from`; quotes may hold anything.
fn closing(text: &str, from: usize) -> Option<usize> {
    let mut quoted = JsonString::default();
    for (offset, character) in text[from..].char_indices() {
        if !quoted.open && text[from + offset..].starts_with("}}") {
            return Some(from + offset);
        }
        quoted.step(character);
    }
    None
}

/// Follows whether a text is inside a `"` string.
#[derive(Default)]
struct JsonString {
    open: bool,
    escaped: bool,
}

impl JsonString {
    fn step(&mut self, character: char) {
        match character {
            _ if self.escaped => self.escaped = false,
            '\\' if self.open => self.escaped = true,
            '"' => self.open = !self.open,
            _ => {}
        }
    }

    fn read(&mut self, text: &str) {
        text.chars().for_each(|character| self.step(character));
    }
}

fn push_literal(parts: &mut Vec<Part<Reference>>, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Literal(text.to_owned()));
    }
}

fn reference(text: &str, from: usize, to: usize, quoted: bool) -> Result<Reference, TemplateError> {
    let (body, default) = match text[from..to].split_once("??") {
        None => (&text[from..to], None),
        Some((body, default)) => {
            let default = serde_json::from_str(default.trim()).map_err(|_| {
                syntax(text, from, "the default after `??` must be JSON, as in `{{city ?? \"none\"}}` or `{{n ?? 0}}`")
            })?;
            (body, Some(default))
        }
    };
    let raw = body.trim();
    if raw.is_empty() {
        return Err(syntax(text, from, "there is no column's name between `{{` and `}}`"));
    }
    let (column, path) = path(raw).map_err(|problem| syntax(text, from, problem))?;
    Ok(Reference { raw: raw.to_owned(), column, path, default, quoted })
}

/// `name.field[0]["any name"]` into the column and the steps into its value.
pub(crate) fn path(raw: &str) -> Result<(String, Vec<Step>), &'static str> {
    let mut steps = Vec::new();
    let (column, mut rest) = column(raw)?;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('.') {
            let end = tail.find(['.', '[']).unwrap_or(tail.len());
            if tail[..end].is_empty() {
                return Err("a name is missing after `.`");
            }
            steps.push(Step::Field(tail[..end].to_owned()));
            rest = &tail[end..];
        } else if rest.starts_with('[') {
            let (step, tail) = bracket(rest)?;
            steps.push(step);
            rest = tail;
        } else {
            return Err("after `]` only `.name`, `[0]` or the end may follow");
        }
    }
    Ok((column, steps))
}

/// The column that a reference begins with, and what follows it.
fn column(raw: &str) -> Result<(String, &str), &'static str> {
    let (column, rest) = if raw.starts_with('[') {
        match bracket(raw)? {
            (Step::Field(name), tail) => (name, tail),
            (Step::Index(_), _) => {
                return Err("a reference begins with a column's name, not with a number");
            }
        }
    } else {
        let end = raw.find(['.', '[']).unwrap_or(raw.len());
        (raw[..end].trim_end().to_owned(), &raw[end..])
    };
    if column.is_empty() {
        return Err("a reference begins with a column's name");
    }
    Ok((column, rest))
}

/// `[0]` or `["name"]` at the beginning of `text`, and what follows it.
fn bracket(text: &str) -> Result<(Step, &str), &'static str> {
    const WRONG: &str = "inside `[ ]` stands a number from 0 or a name in double quotes";
    let inner = &text[1..];
    if inner.starts_with('"') {
        let mut names = serde_json::Deserializer::from_str(inner).into_iter::<String>();
        let name = names.next().ok_or(WRONG)?.map_err(|_| WRONG)?;
        let tail = inner[names.byte_offset()..].strip_prefix(']').ok_or(WRONG)?;
        return Ok((Step::Field(name), tail));
    }
    let (number, tail) = inner.split_once(']').ok_or("`[` is never closed; write `]`")?;
    let index = number.trim().parse().map_err(|_| WRONG)?;
    Ok((Step::Index(index), tail))
}

fn syntax(text: &str, byte: usize, problem: &str) -> TemplateError {
    TemplateError::Syntax { at: text[..byte].chars().count() + 1, problem: problem.to_owned() }
}
