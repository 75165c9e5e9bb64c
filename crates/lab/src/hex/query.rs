//! Query parameters with the ranges that Hex gives them. Parameters nobody knows are accepted.

use crate::query::query_value;

/// The most items of a page.
const PAGE_MAX: usize = 100;
/// The items of a page if nothing is asked for.
const PAGE_DEFAULT: usize = 25;

/// The query of a request; a refusal is a sentence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a>(pub(super) &'a str);

impl Query<'_> {
    /// A value as it is written, if it is there.
    pub(super) fn text(self, name: &str) -> Option<String> {
        query_value(self.0, name).map(|value| value.into_owned())
    }

    /// `limit`: 1 to 100.
    pub(super) fn limit(self) -> Result<usize, String> {
        let text = self.text("limit");
        let Some(text) = text else { return Ok(PAGE_DEFAULT) };
        match text.parse() {
            Ok(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
            _ => Err(format!("limit must be a whole number from 1 to {PAGE_MAX}")),
        }
    }

    /// `offset`: 0 and more.
    pub(super) fn offset(self) -> Result<usize, String> {
        let text = self.text("offset");
        text.map_or(Ok(0), |text| {
            text.parse().map_err(|_| "offset must be a whole number from 0 on".to_owned())
        })
    }

    /// A switch that is off unless it is set.
    pub(super) fn flag(self, name: &str) -> Result<bool, String> {
        match self.text(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(format!("{name} must be true or false")),
        }
    }

    /// One of a few words, if it is there.
    pub(super) fn word<T: Copy>(
        self,
        name: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, String> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                Err(format!("{name} must be one of {}", words.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_at_their_ends() {
        for (query, limit) in [
            ("", Some(25)),
            ("limit=1", Some(1)),
            ("limit=100", Some(100)),
            ("x=1&limit=7", Some(7)),
        ] {
            assert_eq!(Query(query).limit().ok(), limit, "{query}");
        }
        for query in ["limit=0", "limit=101", "limit=", "limit=-1", "limit=x", "limit=1.5"] {
            assert!(Query(query).limit().is_err(), "{query}");
        }
        assert_eq!(Query("offset=0").offset(), Ok(0));
        assert!(Query("offset=-1").offset().is_err());
        assert_eq!(Query("a=true&b=false").flag("a"), Ok(true));
        assert_eq!(Query("a=true&b=false").flag("c"), Ok(false));
        assert!(Query("a=yes").flag("a").is_err());
        let words = [("UP", 1), ("DOWN", 2)];
        assert_eq!(Query("way=DOWN").word("way", &words), Ok(Some(2)));
        assert!(Query("way=down").word("way", &words).unwrap_err().contains("UP, DOWN"));
    }
}
