//! Reading settings: each name known, each value in its range, and the relations between them kept.

use std::ops::RangeInclusive;

use serde_json::Value as Json;

use super::listing::Measure;
use super::{PAGE_ROWS_MAX, Settings};
use crate::suggest;

/// A setting that was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}")]
pub struct SettingError {
    /// Which one.
    pub name: String,
    /// What is wrong with it and what is accepted.
    pub problem: String,
    /// The name that was probably meant.
    pub did_you_mean: Option<&'static str>,
}

impl SettingError {
    fn new(name: &str, problem: impl Into<String>) -> Self {
        Self { name: name.to_owned(), problem: problem.into(), did_you_mean: None }
    }
}

impl Settings {
    /// The defaults with what a JSON object changes, as in `{"column_concurrent_max": 50}`. Times are in seconds.
    ///
    /// # Errors
    /// An unknown name, a value out of its range, or two that contradict each other.
    ///
    /// ```
    /// use paceline_model::limits::Settings;
    /// let given = serde_json::json!({"column_concurrent_max": 50, "proxy_timeout_max": 20});
    /// assert_eq!(Settings::from_json(&given).unwrap().column_concurrent_max, 50);
    /// let misspelt = serde_json::json!({"column_concurent_max": 50});
    /// assert_eq!(Settings::from_json(&misspelt).unwrap_err().did_you_mean, Some("column_concurrent_max"));
    /// ```
    pub fn from_json(given: &Json) -> Result<Self, SettingError> {
        let object = given.as_object().ok_or_else(|| {
            SettingError::new("limits", "are not one JSON object of names and numbers")
        })?;
        let mut settings = Self::default();
        for (name, value) in object {
            match settings.set(name, value) {
                Some(Ok(())) => {}
                Some(Err(problem)) => return Err(SettingError::new(name, problem)),
                None => return Err(unknown(name)),
            }
        }
        settings.related()?;
        Ok(settings)
    }

    /// What must hold between neighbours.
    fn related(&self) -> Result<(), SettingError> {
        if self.mcp_page_rows_max > PAGE_ROWS_MAX {
            let problem = format!("a page over MCP is at most one over REST, {PAGE_ROWS_MAX} rows");
            return Err(SettingError::new("mcp_page_rows_max", problem));
        }
        Ok(())
    }
}

fn unknown(name: &str) -> SettingError {
    let did_you_mean = suggest(name, Settings::NAMES.iter().copied());
    let meant = did_you_mean.map_or_else(String::new, |name| format!("; did you mean {name:?}?"));
    let problem =
        format!("there is no such setting; the settings are {}{meant}", Settings::NAMES.join(", "));
    SettingError { did_you_mean, ..SettingError::new(name, problem) }
}

/// Takes a value into its place.
pub(super) fn take<T: Measure>(
    place: &mut T,
    value: &Json,
    range: RangeInclusive<T>,
    unit: &str,
) -> Result<(), String> {
    match T::from_json(value).filter(|value| range.contains(value)) {
        Some(value) => {
            *place = value;
            Ok(())
        }
        None => {
            let (min, max) = (range.start().number(), range.end().number());
            Err(format!("{value} is not a number from {min} to {max} ({unit})"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_settings_are_refused_by_name_with_what_is_accepted() {
        let cases = [
            (json!([]), "limits: are not one JSON object"),
            (
                json!({"insert_rows": 5}),
                "insert_rows: there is no such setting; the settings are insert_rows_max",
            ),
            (json!({"insert_row_max": 5}), "did you mean \"insert_rows_max\"?"),
            (
                json!({"insert_rows_max": 0}),
                "insert_rows_max: 0 is not a number from 1 to 10000 (rows)",
            ),
            (json!({"insert_rows_max": 1.5}), "1.5 is not a number"),
            (json!({"insert_rows_max": "5"}), "\"5\" is not a number"),
            (json!({"proxy_timeout_max": -1}), "-1 is not a number from 1 to 600 (s)"),
            (json!({"proxy_timeout_max": 1e300}), "is not a number from 1 to 600 (s)"),
            (json!({"column_rate_max": null}), "null is not a number"),
        ];
        for (given, wanted) in cases {
            let told = Settings::from_json(&given).unwrap_err().to_string();
            assert!(told.contains(wanted), "{given}: {told}");
        }
    }

    #[test]
    fn what_is_not_given_keeps_its_default() {
        let set = Settings::from_json(&json!({"function_timeout": 2.5})).unwrap();
        let wanted = Settings {
            function_timeout: std::time::Duration::from_millis(2_500),
            ..Settings::default()
        };
        assert_eq!(set, wanted);
        assert_eq!(Settings::from_json(&json!({})).unwrap(), Settings::default());
    }

    #[test]
    fn every_default_is_a_value_that_the_file_may_give() {
        for limit in Settings::default().listed() {
            let given = json!({ limit.name.as_str(): limit.value });
            assert_eq!(Settings::from_json(&given), Ok(Settings::default()), "{}", limit.name);
        }
        assert_eq!(Settings::default().listed().len(), Settings::NAMES.len());
    }
}
