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

/// What a misspelt name stands for; see [`nearest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nearest<'a> {
    /// This one, beyond doubt.
    One(&'a str),
    /// Any of these: they are equally near.
    Tie(Vec<&'a str>),
    /// None is near enough.
    None,
}

/// The candidate that a name stands for, to be taken instead of it without asking; stricter than [`suggest`], which only
/// asks. Up to 2 edits (hypertab.md a4), of which a short name gets fewer: none with 1 or 2 characters, where another
/// name is never far (a9, hole 9), and one with 3 to 5. Two neighbours swapped are one edit.
///
/// ```
/// use paceline_model::{Nearest, nearest};
/// assert_eq!(nearest("emial", ["email", "name"]), Nearest::One("email"));
/// assert_eq!(nearest("price_x", ["price_a", "price_b"]), Nearest::Tie(vec!["price_a", "price_b"]));
/// assert_eq!(nearest("ln", ["lon", "lat"]), Nearest::None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Nearest<'a> {
    let edits_max = match name.chars().count() {
        0..=2 => return Nearest::None,
        3..=5 => 1,
        _ => 2,
    };
    let wanted = name.to_lowercase();
    let (mut least, mut found) = (edits_max, Vec::new());
    for candidate in candidates {
        // Far too long or short: not worth the table that the distance takes.
        if candidate.len().abs_diff(wanted.len()) > 4 * edits_max {
            continue;
        }
        let edits = strsim::osa_distance(&wanted, &candidate.to_lowercase());
        if edits < least {
            found.clear();
            least = edits;
        }
        if edits == least && !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    match found.as_slice() {
        [] => Nearest::None,
        [one] => Nearest::One(one),
        _ => Nearest::Tie(found),
    }
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

    #[test]
    fn corrections_scale_with_the_length_and_refuse_ties() {
        let one = |name| Nearest::One(name);
        let cases: [(&str, &[&str], Nearest<'_>); 9] = [
            ("emial", &["email", "name"], one("email")),
            ("Email", &["email"], one("email")),
            ("compnay_nmae", &["company_name"], one("company_name")),
            ("copnay_nmea", &["company_name"], Nearest::None),
            ("lta", &["lat", "lon"], one("lat")),
            ("cty", &["country", "city"], one("city")),
            ("nm", &["name", "nam", "n"], Nearest::None),
            ("price_c", &["price_a", "price_b"], Nearest::Tie(vec!["price_a", "price_b"])),
            ("price_aa", &["price_a", "price_b"], one("price_a")),
        ];
        for (name, candidates, wanted) in cases {
            assert_eq!(nearest(name, candidates.iter().copied()), wanted, "{name}");
        }
    }
}
