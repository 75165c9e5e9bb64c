//! A formula: compiled once, evaluated for many rows.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use paceline_model::suggest;

use crate::error::{ScriptCode, ScriptError};
use crate::source::{self, Use};
use crate::token::tokens;

/// Formulas made so far, so that each has a number that no other has.
static MADE: AtomicU64 = AtomicU64::new(0);

/// An expression over the columns of a row, or statements with a `return`. Clones share it.
///
/// A column is a name: `Math.round(revenue * 0.15)`. JavaScript's own names come first (a column called `Date` cannot be
/// used), and a column whose name is no name in JavaScript has to be renamed or given a title that is one.
#[derive(Clone)]
pub struct Formula(Arc<Inner>);

struct Inner {
    number: u64,
    /// As it is evaluated: a function of the columns.
    function: String,
    /// Which of the labels it takes, in the order of its parameters.
    inputs: Vec<usize>,
    labels: Vec<String>,
}

impl Formula {
    /// Compiles a formula over columns with these labels; of two that are alike, the first counts.
    ///
    /// # Errors
    /// [`ScriptCode::Source`] with the line: it is not JavaScript, or names a column that is not there.
    ///
    /// ```
    /// use paceline_script::Formula;
    ///
    /// let formula = Formula::compile("`${city}, ${country.toUpperCase()}`", &["iata", "country", "city"]).unwrap();
    /// assert_eq!(formula.inputs(), [1, 2]);
    /// let error = Formula::compile("revenu * 2", &["revenue"]).unwrap_err();
    /// assert_eq!(error.to_string(), "there is no column \"revenu\"; did you mean \"revenue\"?");
    /// ```
    pub fn compile(source: &str, labels: &[&str]) -> Result<Self, ScriptError> {
        let used = source::used(source);
        let inputs = named(&used, labels);
        let params: Vec<&str> = inputs.iter().map(|at| labels[*at]).collect();
        let function = source::formula(source, &params)?;
        if !source::binds_names(source) {
            // Nothing but columns and the language's own names can be meant.
            let unknown =
                used.iter().find(|name| source::may_name(name) && !params.contains(&name.as_str()));
            if let Some(name) = unknown {
                let problem =
                    format!("there is no column {name:?}{}", meant(name, labels.iter().copied()));
                return Err(ScriptError::new(ScriptCode::Source, problem));
            }
        }
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Ok(Self(Arc::new(Inner { number, function, inputs, labels })))
    }

    /// As [`Formula::inputs`] of what `source` compiles to, without compiling it: it need not be JavaScript.
    ///
    /// ```
    /// use paceline_script::Formula;
    /// assert_eq!(Formula::uses("city + country + (", &["iata", "country", "city"]), [1, 2]);
    /// ```
    #[must_use]
    pub fn uses(source: &str, labels: &[&str]) -> Vec<usize> {
        named(&source::used(source), labels)
    }

    /// Which of the labels it uses, ascending: the values that a row must have, in this order.
    #[must_use]
    pub fn inputs(&self) -> &[usize] {
        &self.0.inputs
    }

    /// `source` with names as `new_name` has them, all else to the letter. Where a field has its name from a column, as in
    /// `{city}`, it keeps it.
    ///
    /// # Errors
    /// [`ScriptCode::Source`] where it cannot be known what is meant, or the new name means something already.
    ///
    /// ```
    /// use paceline_script::Formula;
    /// let town = |name: &str| (name == "city").then(|| "town".to_owned());
    /// let renamed = Formula::renamed("city + x.city + 'city' + f({city})", &town).unwrap();
    /// assert_eq!(renamed, "town + x.city + 'city' + f({city: town})");
    /// ```
    pub fn renamed(
        source: &str,
        new_name: &dyn Fn(&str) -> Option<String>,
    ) -> Result<String, ScriptError> {
        let refused = |problem: String| Err(ScriptError::new(ScriptCode::Source, problem));
        let all = tokens(source);
        let uses = source::uses(source, &all);
        let taken: Vec<&str> =
            uses.iter().filter(|(_, _, is)| *is != Use::Field).map(|(_, name, _)| *name).collect();
        let mut out = String::with_capacity(source.len());
        let mut at = 0;
        for (token, name, is) in &uses {
            if *is == Use::Field || !source::may_name(name) {
                continue;
            }
            let Some(new) = new_name(name) else { continue };
            if *is == Use::MethodOrCall {
                return refused(format!(
                    "it cannot be told whether {name:?} is the column; rename it by hand"
                ));
            }
            if !source::may_name(&new) || taken.contains(&new.as_str()) {
                return refused(format!("the name {new:?} means something else in it"));
            }
            out.push_str(&source[at..token.range.start]);
            if *is == Use::Shorthand {
                out.push_str(name);
                out.push_str(": ");
            }
            out.push_str(&new);
            at = token.range.end;
        }
        out.push_str(&source[at..]);
        Ok(out)
    }

    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    pub(crate) fn function(&self) -> &str {
        &self.0.function
    }

    /// With the name of the column that was probably meant, where it threw for a name that is not there.
    pub(crate) fn explained(&self, mut error: ScriptError) -> ScriptError {
        if error.code == ScriptCode::Error
            && let Some(rest) = error.message.strip_prefix("ReferenceError: ")
            && let Some(name) = rest.strip_suffix(" is not defined")
        {
            let name = name.trim_matches('\'');
            let hint = meant(name, self.0.labels.iter().map(String::as_str));
            error.message.push_str(&hint);
        }
        error
    }
}

/// Which of the labels a formula that uses these names takes, ascending.
fn named(used: &BTreeSet<String>, labels: &[&str]) -> Vec<usize> {
    let mut inputs: Vec<usize> = Vec::new();
    for (at, label) in labels.iter().enumerate() {
        let is_new = labels.iter().position(|known| known == label) == Some(at);
        if is_new && used.contains(*label) && source::may_name(label) {
            inputs.push(at);
        }
    }
    inputs
}

fn meant<'l>(name: &str, labels: impl Iterator<Item = &'l str>) -> String {
    suggest(name, labels).map_or_else(String::new, |meant| format!("; did you mean {meant:?}?"))
}

impl fmt::Debug for Formula {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Formula").field("inputs", &self.0.inputs).finish_non_exhaustive()
    }
}
