//! Templates (spec C2): `{{column}}`, `{{column.path}}`, `{{column.list[0]}}`, each with an optional default as in
//! `{{column ?? "none"}}`.
//!
//! A template is parsed once, bound to columns once, and rendered per row. A value is escaped for where it stands
//! ([`Place`]); a missing value without a default is an error of that row, never an empty string. A column whose name
//! has dots or brackets can be written `{{["name.with.dots"].path}}`, or plainly if the whole text between the braces
//! is its name.

mod parse;
mod render;

use serde_json::Value as Json;

pub(crate) use parse::path;
pub use render::RenderError;

use crate::{Value, limits, suggest};

/// Where a template stands, which decides how values are escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A URL: values are percent-encoded, but for one at the very beginning, which is the address itself.
    Url,
    /// A header's value: control characters are refused.
    Header,
    /// A JSON body: inside quotes the value is escaped as part of the string, outside it is written as JSON.
    JsonBody,
    /// A form body (`application/x-www-form-urlencoded`): values are percent-encoded.
    FormBody,
    /// Text: values stand as they are.
    Text,
}

/// A parsed template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    place: Place,
    parts: Vec<Part<Reference>>,
}

/// A template whose references are bound to positions in a list of values.
#[derive(Clone, Debug, PartialEq)]
pub struct BoundTemplate {
    place: Place,
    parts: Vec<Part<BoundReference>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part<R> {
    Literal(String),
    Reference(R),
}

/// A reference as written.
#[derive(Clone, Debug, PartialEq)]
struct Reference {
    /// The text between the braces, less the default: perhaps a column's whole name, dots and all.
    raw: String,
    column: String,
    path: Vec<Step>,
    default: Option<Json>,
    /// Whether it stands inside a JSON string (only looked at in [`Place::JsonBody`]).
    quoted: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct BoundReference {
    label: String,
    input: usize,
    path: Vec<Step>,
    default: Option<Json>,
    quoted: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Field(String),
    Index(usize),
}

/// A template that cannot be used. The text names the template's fault, its place in the template, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It is not well formed.
    #[error("template, character {at}: {problem}")]
    Syntax {
        /// Where, counted in characters from 1.
        at: usize,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// It names a column that does not exist.
    #[error("template: there is no column {name:?}{}", did_you_mean(.suggestion.as_deref()))]
    UnknownColumn {
        /// The name as written.
        name: String,
        /// The column that was probably meant.
        suggestion: Option<String>,
    },
    /// It is too long.
    #[error("template: {bytes} bytes are over the limit of {}", limits::TEMPLATE_BYTES_MAX)]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

impl Template {
    /// Parses `text` for a place.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`] and [`TemplateError::TooLong`].
    ///
    /// ```
    /// use paceline_model::{Place, Template, Value};
    ///
    /// let template = Template::parse("https://api.example/near?q={{city}}", Place::Url).unwrap();
    /// let bound = template.bind(&["iata", "city"]).unwrap();
    /// let url = bound.render(&[Value::Text("BOS".into()), Value::Text("São Paulo".into())]).unwrap();
    /// assert_eq!(url, "https://api.example/near?q=S%C3%A3o%20Paulo");
    /// ```
    pub fn parse(text: &str, place: Place) -> Result<Self, TemplateError> {
        if text.len() > limits::TEMPLATE_BYTES_MAX {
            return Err(TemplateError::TooLong { bytes: text.len() });
        }
        Ok(Self { place, parts: parse::parts(text)? })
    }

    /// The columns it refers to, as written, each once.
    #[must_use]
    pub fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for part in &self.parts {
            if let Part::Reference(reference) = part
                && !names.contains(&reference.column.as_str())
            {
                names.push(&reference.column);
            }
        }
        names
    }

    /// `text` with every reference to the column at `at` of `labels` (as [`Template::bind`] takes them) written with its
    /// `new` name instead; all else stays to the letter. A reference that binds to nothing stays, too.
    ///
    /// # Errors
    /// As [`Template::parse`].
    ///
    /// ```
    /// use paceline_model::Template;
    /// let text = "{{ City ?? \"{{City}}\" }}/{{City.parts[0]}}/{{[\"City\"]}}/{{country}}";
    /// let renamed = Template::renamed(text, &["City", "country"], &[0], "town").unwrap();
    /// assert_eq!(renamed, "{{ town ?? \"{{City}}\" }}/{{town.parts[0]}}/{{town}}/{{country}}");
    /// ```
    pub fn renamed(
        text: &str,
        labels: &[&str],
        at: &[usize],
        new: &str,
    ) -> Result<String, TemplateError> {
        use parse::Renamed;
        let is = |label: &str| labels.iter().position(|known| *known == label);
        // In the order in which a reference binds: the whole of it first.
        parse::renamed(text, &|raw, column| match (is(raw), is(column)) {
            (Some(found), _) if at.contains(&found) => Renamed::Whole(new.to_owned()),
            (None, Some(found)) if at.contains(&found) => Renamed::Column(new.to_owned()),
            _ => Renamed::Stays,
        })
    }

    /// The text before the first reference: what is known of it before any row is.
    #[must_use]
    pub fn literal_prefix(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// Whether nothing in it depends on a row.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// Binds the references to positions in `columns`, the labels of the values that [`BoundTemplate::render`] will get.
    ///
    /// # Errors
    /// [`TemplateError::UnknownColumn`], with what was probably meant.
    pub fn bind(&self, columns: &[&str]) -> Result<BoundTemplate, TemplateError> {
        let parts = self
            .parts
            .iter()
            .map(|part| match part {
                Part::Literal(text) => Ok(Part::Literal(text.clone())),
                Part::Reference(reference) => reference.bind(columns).map(Part::Reference),
            })
            .collect::<Result<_, _>>()?;
        Ok(BoundTemplate { place: self.place, parts })
    }
}

impl Reference {
    fn bind(&self, columns: &[&str]) -> Result<BoundReference, TemplateError> {
        let position = |name: &str| columns.iter().position(|column| *column == name);
        if let Some(input) = position(&self.raw) {
            return Ok(self.bound(&self.raw, input, Vec::new()));
        }
        if let Some(input) = position(&self.column) {
            return Ok(self.bound(&self.column, input, self.path.clone()));
        }
        let suggestion = suggest(&self.column, columns.iter().copied()).map(str::to_owned);
        Err(TemplateError::UnknownColumn { name: self.column.clone(), suggestion })
    }

    fn bound(&self, label: &str, input: usize, path: Vec<Step>) -> BoundReference {
        BoundReference {
            label: label.to_owned(),
            input,
            path,
            default: self.default.clone(),
            quoted: self.quoted,
        }
    }
}

impl BoundTemplate {
    /// Renders it for one row.
    ///
    /// # Errors
    /// [`RenderError`] names the reference and what was missing or not allowed where it stands.
    pub fn render(&self, values: &[Value]) -> Result<String, RenderError> {
        let mut out = String::with_capacity(self.parts.len() * 16);
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Reference(reference) => {
                    render::reference(&mut out, self.place, reference, values)?;
                }
            }
        }
        Ok(out)
    }

    /// Renders it as a JSON value: one reference and nothing else gives the value as it is, a number as a number; anything
    /// else is text.
    ///
    /// # Errors
    /// As [`BoundTemplate::render`].
    ///
    /// ```
    /// use paceline_model::{Place, Template, Value};
    /// use serde_json::json;
    ///
    /// let rendered = |text: &str| {
    ///     let bound = Template::parse(text, Place::Text).unwrap().bind(&["n"]).unwrap();
    ///     bound.render_json(&[Value::Int(7)]).unwrap()
    /// };
    /// assert_eq!((rendered("{{n}}"), rendered("no. {{n}}")), (json!(7), json!("no. 7")));
    /// ```
    pub fn render_json(&self, values: &[Value]) -> Result<Json, RenderError> {
        match self.parts.as_slice() {
            [Part::Reference(reference)] => {
                render::find(reference, values).map(|value| value.to_json())
            }
            _ => self.render(values).map(Json::String),
        }
    }

    /// The positions it reads, each once, ascending.
    #[must_use]
    pub fn inputs(&self) -> Vec<usize> {
        let mut inputs: Vec<usize> = self
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Reference(reference) => Some(reference.input),
                Part::Literal(_) => None,
            })
            .collect();
        inputs.sort_unstable();
        inputs.dedup();
        inputs
    }
}

#[cfg(test)]
mod tests;
