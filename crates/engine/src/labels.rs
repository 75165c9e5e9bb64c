//! What templates call the columns of a table, and how their faults are told.

use paceline_model::{CellError, ColumnId, Place, RenderError, Table, Template, TemplateError};

use crate::task::cell_error;
use crate::{Error, Result};

/// The labels that templates may use: names first, then titles, each with its column.
pub(crate) struct Labels<'a> {
    pub(crate) names: Vec<&'a str>,
    pub(crate) columns: Vec<ColumnId>,
}

impl<'a> Labels<'a> {
    pub(crate) fn of(table: &'a Table, own: &str) -> Self {
        let others = || {
            table
                .columns
                .iter()
                .filter(|column| column.name != own && column.title.as_deref() != Some(own))
        };
        let titled =
            others().filter_map(|column| column.title.as_deref().map(|title| (title, column.id)));
        // A title is what the person sees, so it comes before another column's inner name.
        let (names, columns) =
            titled.chain(others().map(|column| (column.name.as_str(), column.id))).unzip();
        Self { names, columns }
    }

    /// Which labels the templates use, ascending.
    pub(crate) fn used<'t>(
        &self,
        templates: impl Iterator<Item = (&'t str, &'t Template)>,
    ) -> Result<Vec<usize>> {
        let mut used = Vec::new();
        for (field, template) in templates {
            let bound =
                template.bind(&self.names).map_err(|error| template_error(field, &error))?;
            used.extend(bound.inputs());
        }
        used.sort_unstable();
        used.dedup();
        Ok(used)
    }
}

pub(crate) fn template(field: &str, text: &str, place: Place) -> Result<Template> {
    Template::parse(text, place).map_err(|error| template_error(field, &error))
}

pub(crate) fn template_error(field: &str, error: &TemplateError) -> Error {
    let did_you_mean = match error {
        TemplateError::UnknownColumn { suggestion, .. } => suggestion.clone(),
        _ => None,
    };
    Error::Config { field: field.to_owned(), problem: error.to_string(), did_you_mean }
}

pub(crate) fn render_error(error: &RenderError) -> CellError {
    match error {
        RenderError::Missing { .. } => cell_error("MISSING_VALUE", error.to_string()),
        RenderError::NotAllowed { .. } => cell_error("NOT_ALLOWED", error.to_string()),
    }
}
