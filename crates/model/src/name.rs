//! Names of tables and columns: the rule, and what was probably meant.

use crate::limits;
use crate::{Error, Result};

/// Checks a table or column name: `^[a-z][a-z0-9_]*$`, at most 64 long, and none of the reserved prefixes.
///
/// # Errors
/// [`Error::Invalid`] with the rule that was broken.
pub fn check_name(kind: &str, name: &str) -> Result<()> {
    if name.len() > limits::NAME_BYTES_MAX {
        return Err(Error::invalid(format!(
            "{kind} name is {} characters long; at most {} are allowed",
            name.len(),
            limits::NAME_BYTES_MAX
        )));
    }
    let mut bytes = name.bytes();
    let starts_well = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    if !starts_well || !bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Err(Error::invalid(format!(
            "{kind} name {name:?} must begin with a letter a-z and go on with a-z, 0-9 or _"
        )));
    }
    if let Some(prefix) = ["sqlite_", "pg_"].into_iter().find(|prefix| name.starts_with(prefix)) {
        return Err(Error::invalid(format!(
            "{kind} name {name:?}: the prefix {prefix} belongs to the database"
        )));
    }
    Ok(())
}

/// The candidate that `name` was probably meant to be: the nearest within a third of its length (at least one edit,
/// at most three), and only if no other is as near.
///
/// ```
/// assert_eq!(paceline_model::suggest("latitud", ["latitude", "longitude"]), Some("latitude"));
/// assert_eq!(paceline_model::suggest("xy", ["xa", "xb"]), None);
/// ```
pub fn suggest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    let wanted = name.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    let mut tied = false;
    for candidate in candidates {
        let distance = strsim::osa_distance(&wanted, &candidate.to_lowercase());
        match best {
            Some((nearest, _)) if distance > nearest => {}
            Some((nearest, _)) if distance == nearest => tied = true,
            _ => {
                best = Some((distance, candidate));
                tied = false;
            }
        }
    }
    best.filter(|(distance, _)| *distance <= allowed && !tied).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["a", "leads", "a1_b", &"x".repeat(64)] {
            assert!(check_name("table", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "1a",
            "_ht_id",
            "A",
            "a-b",
            "a b",
            "é",
            "sqlite_master",
            "pg_class",
            &"x".repeat(65),
        ] {
            assert!(check_name("table", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn suggestions_refuse_ties_and_long_shots() {
        assert_eq!(suggest("price_x", ["price_a", "price_b"]), None, "one edit from both");
        assert_eq!(suggest("contry", ["country", "city"]), Some("country"));
        assert_eq!(suggest("zzz", ["country"]), None);
        assert_eq!(suggest("Latitude", ["latitude"]), Some("latitude"));
    }
}
