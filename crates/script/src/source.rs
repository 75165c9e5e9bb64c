//! What a script is, found out before it runs: a formula's expression or body, a function's way to be called, and which
//! names are used.

use std::collections::BTreeSet;

use paceline_model::limits;

use crate::error::{ScriptCode, ScriptError};
use crate::realm::Realm;
use crate::token::{Kind, Token, tokens};

/// Names that no parameter may have, or that mean something before any column does.
const RESERVED: [&str; 117] = [
    "arguments",
    "async",
    "await",
    "break",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "default",
    "delete",
    "do",
    "else",
    "enum",
    "eval",
    "export",
    "extends",
    "false",
    "finally",
    "for",
    "function",
    "if",
    "implements",
    "import",
    "in",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "of",
    "package",
    "private",
    "protected",
    "public",
    "return",
    "static",
    "super",
    "switch",
    "this",
    "throw",
    "true",
    "try",
    "typeof",
    "var",
    "void",
    "while",
    "with",
    "yield",
    "get",
    "set",
    "undefined",
    "NaN",
    "Infinity",
    "globalThis",
    "Object",
    "Function",
    "Array",
    "String",
    "Number",
    "Boolean",
    "Symbol",
    "BigInt",
    "Math",
    "JSON",
    "Date",
    "RegExp",
    "Map",
    "Set",
    "WeakMap",
    "WeakSet",
    "WeakRef",
    "FinalizationRegistry",
    "Promise",
    "Proxy",
    "Reflect",
    "Error",
    "EvalError",
    "RangeError",
    "ReferenceError",
    "SyntaxError",
    "TypeError",
    "URIError",
    "AggregateError",
    "InternalError",
    "SuppressedError",
    "ArrayBuffer",
    "SharedArrayBuffer",
    "Atomics",
    "DataView",
    "Int8Array",
    "Uint8Array",
    "Uint8ClampedArray",
    "Int16Array",
    "Uint16Array",
    "Int32Array",
    "Uint32Array",
    "BigInt64Array",
    "BigUint64Array",
    "Float16Array",
    "Float32Array",
    "Float64Array",
    "Iterator",
    "DisposableStack",
    "AsyncDisposableStack",
    "parseInt",
    "parseFloat",
    "isNaN",
    "isFinite",
    "encodeURI",
    "encodeURIComponent",
    "decodeURI",
    "decodeURIComponent",
    "escape",
    "unescape",
    "queueMicrotask",
];

/// Whether a script can call a column so.
pub(crate) fn may_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_' || c == '$')
        && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '$')
        && !RESERVED.contains(&name)
}

/// A name in a script, and how it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// It means a value.
    Value,
    /// It is a field and its value at once, as in `{name}`.
    Shorthand,
    /// It may be a method's name or a call of a value.
    MethodOrCall,
    /// It is only the name of a field.
    Field,
}

/// The names of a script, and how each stands there.
pub(crate) fn uses<'t>(source: &'t str, tokens: &[Token]) -> Vec<(Token, &'t str, Use)> {
    let text = |at: Option<usize>| {
        at.and_then(|at| tokens.get(at)).map_or("", |t| &source[t.range.clone()])
    };
    let mut open: Vec<&str> = Vec::new();
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let word = &source[token.range.clone()];
        let (before, after) = (text(at.checked_sub(1)), text(Some(at + 1)));
        match (token.kind, word) {
            (Kind::Mark, "(" | "[" | "{") => open.push(word),
            (Kind::Mark, ")" | "]" | "}") => drop(open.pop()),
            (Kind::Name, _) => {
                let in_braces = open.last() == Some(&"{");
                let first = in_braces && matches!(before, "{" | ",");
                let is = match (before, after) {
                    (".", _) => Use::Field,
                    // A label.
                    ("" | ";" | "}", ":") => Use::Field,
                    (_, ":") if first => Use::Field,
                    (_, "," | "}" | "=") if first => Use::Shorthand,
                    (_, "(")
                        if in_braces
                            && (first
                                || matches!(
                                    before,
                                    "get" | "set" | "async" | "static" | "*" | ";" | "}"
                                )) =>
                    {
                        Use::MethodOrCall
                    }
                    _ => Use::Value,
                };
                found.push((token.clone(), word, is));
            }
            _ => {}
        }
    }
    found
}

/// The names that a script uses as values, each once; those of methods are not among them.
pub(crate) fn used(source: &str) -> BTreeSet<String> {
    let all = tokens(source);
    uses(source, &all)
        .into_iter()
        .filter(|(_, _, is)| matches!(is, Use::Value | Use::Shorthand))
        .map(|(_, name, _)| name.to_owned())
        .collect()
}

/// Every name in a script and every text in quotes, each once: whatever may be the name of a field.
#[must_use]
pub fn words(source: &str) -> BTreeSet<String> {
    let worded = tokens(source).into_iter().filter_map(|token| match token.kind {
        Kind::Name => Some(source[token.range].to_owned()),
        Kind::Text => {
            let text = &source[token.range];
            text.get(1..text.len().saturating_sub(1)).map(str::to_owned)
        }
        Kind::Mark | Kind::Other => None,
    });
    worded.collect()
}

/// Whether names are bound in it that are no parameters.
pub(crate) fn binds_names(source: &str) -> bool {
    const BINDING: [&str; 7] = ["=>", "function", "let", "const", "var", "class", "catch"];
    tokens(source).iter().any(|token| {
        matches!(token.kind, Kind::Name | Kind::Mark)
            && BINDING.contains(&&source[token.range.clone()])
    })
}

/// Whether nothing in it closes what it has not opened.
fn is_closed(source: &str) -> bool {
    let mut open = Vec::new();
    for token in tokens(source).iter().filter(|token| token.kind == Kind::Mark) {
        match &source[token.range.clone()] {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            close @ (")" | "]" | "}") if open.pop() != Some(close) => return false,
            _ => {}
        }
    }
    open.is_empty()
}

/// Refuses what is no script at all.
fn check_text(source: &str, bytes_max: usize) -> Result<(), ScriptError> {
    let refused = |problem: String| Err(ScriptError::new(ScriptCode::Source, problem));
    if source.trim().is_empty() {
        return refused("is empty; write JavaScript, as in Math.round(price * 1.2)".into());
    }
    if source.len() > bytes_max {
        return refused(format!("is {} bytes long, over the limit of {bytes_max}", source.len()));
    }
    if source.contains('\0') {
        return refused("has a character NUL in it; take it out".into());
    }
    Ok(())
}

/// The function that a formula is: an expression, or statements with a `return`.
pub(crate) fn formula(source: &str, params: &[&str]) -> Result<String, ScriptError> {
    check_text(source, limits::SCRIPT_BYTES_MAX)?;
    let params = params.join(",");
    let wrapped = [
        format!("({params})=>({source}\n)"),
        format!("({params})=>{{{source}\n}}"),
        format!("async({params})=>({source}\n)"),
        format!("async({params})=>{{{source}\n}}"),
    ];
    let (closed, returns) = (is_closed(source), has(source, "return") || has(source, "throw"));
    let mut first = None;
    for (at, function) in wrapped.iter().enumerate() {
        match Realm::check(&format!("export default {function}")) {
            Ok(()) if !closed => {
                let problem = "closes a bracket that it has not opened";
                return Err(ScriptError::new(ScriptCode::Source, problem));
            }
            Ok(()) if at % 2 == 1 && !returns => {
                let problem =
                    "is several statements and gives nothing; write return before what it gives";
                return Err(ScriptError::new(ScriptCode::Source, problem));
            }
            Ok(()) => return Ok(format!("\"use strict\";{function}")),
            Err(error) if at == usize::from(returns) => first = Some(error),
            Err(_) => {}
        }
    }
    let unknown = || ScriptError::new(ScriptCode::Source, "is not JavaScript");
    Err(first.unwrap_or_else(unknown))
}

fn has(source: &str, word: &str) -> bool {
    tokens(source)
        .iter()
        .any(|token| token.kind == Kind::Name && &source[token.range.clone()] == word)
}

/// A function's script that can be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSource {
    text: String,
}

impl FunctionSource {
    /// Finds out how a script is called: it defines one function (or several, one of which is called `main`), or it is an
    /// expression (a function, or a value made from `row`), or the body of a function of `row` with a `return`.
    ///
    /// # Errors
    /// [`ScriptCode::Source`] with the line, if it is none of these or longer than `limits::FUNCTION_BYTES_MAX`.
    ///
    /// ```
    /// use paceline_script::FunctionSource;
    /// assert!(FunctionSource::read("function score(row) { return row.stars * 2; }").is_ok());
    /// assert!(FunctionSource::read("(row) => row.stars * 2").is_ok());
    /// assert!(FunctionSource::read("const two = 2; return row.stars * two").is_ok());
    /// assert!(FunctionSource::read("function score(row) {").is_err());
    /// ```
    pub fn read(source: &str) -> Result<Self, ScriptError> {
        check_text(source, limits::FUNCTION_BYTES_MAX)?;
        let defined = functions(source);
        let entry = match defined.as_slice() {
            [] => None,
            [one] => Some(*one),
            many if many.contains(&"main") => Some("main"),
            many => {
                let problem = format!(
                    "defines several functions ({}); call the one that is to be run main",
                    many.join(", ")
                );
                return Err(ScriptError::new(ScriptCode::Source, problem));
            }
        };
        let candidates = match entry {
            Some(entry) => vec![format!("async(row)=>{{{source}\n;return {entry}(row)}}")],
            None => vec![
                format!(
                    "async(row)=>{{const made=({source}\n);return typeof made===\"function\"?made(row):made}}"
                ),
                format!("async(row)=>{{{source}\n}}"),
            ],
        };
        let mut last = ScriptError::new(ScriptCode::Source, "is not JavaScript");
        for function in candidates {
            match Realm::check(&format!("export default {function}")) {
                Ok(()) => return Ok(Self { text: format!("\"use strict\";{function}") }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// As the child evaluates it.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// The functions that a script defines, outside of all brackets.
fn functions(source: &str) -> Vec<&str> {
    let all = tokens(source);
    let word = |at: usize| all.get(at).map_or("", |token: &Token| &source[token.range.clone()]);
    let mut depth = 0_usize;
    let mut found = Vec::new();
    for (at, token) in all.iter().enumerate() {
        match (token.kind, word(at)) {
            (Kind::Mark, "(" | "[" | "{") => depth += 1,
            (Kind::Mark, ")" | "]" | "}") => depth = depth.saturating_sub(1),
            (Kind::Name, "function") if depth == 0 => {
                let name = at + 1 + usize::from(word(at + 1) == "*");
                let before = at.checked_sub(1).map_or("", |at| word(at));
                let is_statement = matches!(
                    before,
                    "" | ";" | "}" | "async" | ")" | "\"use strict\"" | "'use strict'"
                );
                if is_statement && all.get(name).is_some_and(|token| token.kind == Kind::Name) {
                    found.push(word(name));
                }
            }
            _ => {}
        }
    }
    found
}
