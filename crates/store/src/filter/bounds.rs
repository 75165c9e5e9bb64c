//! How large a filter may be, and which columns it names.

use paceline_model::{ColumnId, Error, Filter, Operator, Result, Sort, Subject, limits};

/// The columns that a filter and an order name, each once.
///
/// Fails with `Invalid` if they are larger than what can be read from JSON: what walks them afterwards need not care.
pub(crate) fn columns_of(filter: Option<&Filter>, sort: &[Sort]) -> Result<Vec<ColumnId>> {
    let mut found = Found::default();
    if let Some(filter) = filter {
        found.look(filter, 0)?;
    }
    if sort.len() > limits::SORT_KEYS_MAX {
        return Err(Error::invalid(format!("an order has at most {} keys", limits::SORT_KEYS_MAX)));
    }
    for key in sort {
        found.subject(key.subject);
    }
    found.columns.sort_unstable();
    found.columns.dedup();
    Ok(found.columns)
}

#[derive(Default)]
struct Found {
    columns: Vec<ColumnId>,
    tests: usize,
    values: usize,
}

impl Found {
    fn look(&mut self, filter: &Filter, depth: usize) -> Result<()> {
        self.tests += 1;
        // An object of tests is a group too, so that there are two groups to each level of JSON, and as many again as
        // tests at the most.
        let groups = 2 * limits::FILTER_DEPTH_MAX + 2;
        if depth > groups || self.tests > 2 * limits::FILTER_TESTS_MAX + groups {
            return Err(Error::invalid(format!(
                "a filter has at most {} tests, and groups nested {} deep",
                limits::FILTER_TESTS_MAX,
                limits::FILTER_DEPTH_MAX
            )));
        }
        match filter {
            Filter::All(filters) | Filter::Any(filters) => {
                filters.iter().try_for_each(|filter| self.look(filter, depth + 1))
            }
            Filter::Cell { column, .. } => {
                self.columns.push(*column);
                Ok(())
            }
            Filter::Test(test) => {
                self.subject(test.subject);
                if let Operator::In(values) = &test.operator {
                    self.values += values.len();
                }
                if self.values > limits::FILTER_VALUES_MAX
                    || test.path.len() > limits::JSON_DEPTH_MAX
                {
                    return Err(Error::invalid(format!(
                        "a filter has at most {} values in its lists, and a path {} steps",
                        limits::FILTER_VALUES_MAX,
                        limits::JSON_DEPTH_MAX
                    )));
                }
                Ok(())
            }
        }
    }

    fn subject(&mut self, subject: Subject) {
        if let Subject::Column(id) = subject {
            self.columns.push(id);
        }
    }
}
