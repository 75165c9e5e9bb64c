//! Whether a row is news to somebody who was here before.

use std::collections::BTreeMap;

use paceline_model::{Filter, Operator, RowId, RowQuery, Subject, Table, Test, Value};

use super::Watch;
use super::marks::{self, Marks};
use crate::App;
use crate::error::Result;

/// Why a row is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// It was inserted, and no change of it has been read yet.
    Inserted,
    /// A change names it.
    Touched,
    /// All rows are looked at.
    Scanned,
    /// It was there before the follower.
    Known,
}

/// What is seen of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Stands for its value, or for passing the filter; never 0.
    mark: u32,
    /// Nothing of it has changed since it was inserted.
    fresh: bool,
    /// It has no value.
    empty: bool,
}

/// Whether a row is news, and marks what is known of it from now on. `seen` is `None` for a row that does not pass the
/// filter or is gone.
pub(super) fn decide(
    watch: &Watch,
    marks: &mut Marks,
    row: i64,
    seen: Option<&Seen>,
    why: Why,
) -> bool {
    let before = marks.get(row);
    let Some(seen) = seen else {
        if matches!(watch, Watch::Match { once: false, .. }) && before != 0 {
            marks.set(row, 0);
        }
        return false;
    };
    match (watch, why) {
        (_, Why::Known) => {
            marks.set(row, seen.mark);
            false
        }
        (Watch::Field(_), Why::Inserted) => {
            // Its first value is no change. But if it has changed since, its first value is not known, and the change
            // that follows in the list must find it unmarked.
            if before == 0 && seen.fresh {
                marks.set(row, seen.mark);
            }
            false
        }
        (Watch::Field(_), Why::Scanned) if before == 0 => {
            marks.set(row, seen.mark);
            !seen.fresh && !seen.empty
        }
        _ => {
            marks.set(row, seen.mark);
            before != seen.mark
        }
    }
}

/// What is to be seen of rows, which are all of one chunk.
pub(super) async fn look(
    app: &App,
    table: &Table,
    watch: &Watch,
    rows: &BTreeMap<i64, bool>,
) -> Result<BTreeMap<i64, Seen>> {
    let (Some((first, _)), Some((last, _))) = (rows.first_key_value(), rows.last_key_value())
    else {
        return Ok(BTreeMap::new());
    };
    let span = usize::try_from(last - first + 1).unwrap_or(marks::CHUNK_ROWS);
    let up_to =
        Test { subject: Subject::Id, path: Vec::new(), operator: Operator::Lte(Value::Int(*last)) };
    let mut tests = vec![Filter::Test(up_to)];
    let columns = match watch {
        Watch::Match { filter, .. } => {
            tests.push(filter.clone());
            Vec::new()
        }
        Watch::Field(column) => vec![*column],
        Watch::New => Vec::new(),
    };
    let query = RowQuery {
        columns,
        filter: Some(Filter::All(tests)),
        after: RowId(first - 1),
        limit: span.min(marks::CHUNK_ROWS),
        ..RowQuery::of(table.id)
    };
    let found = app.engine.store().rows(query).await?;
    let seen = found.into_iter().filter(|row| rows.contains_key(&row.id.0)).map(|row| {
        let value = row.values.first();
        let seen = Seen {
            mark: value.map_or(1, marks::mark_of),
            fresh: row.created_at == row.updated_at,
            empty: value.is_none_or(Value::is_null),
        };
        (row.id.0, seen)
    });
    Ok(seen.collect())
}

#[cfg(test)]
mod tests {
    use paceline_model::ColumnId;

    use super::*;

    const OLD: u32 = 7;
    const NEW: u32 = 9;

    fn seen(mark: u32, fresh: bool) -> Seen {
        Seen { mark, fresh, empty: false }
    }

    #[test]
    fn a_field_is_news_when_its_value_is_another_one() {
        let watch = Watch::Field(ColumnId(1));
        let cases = [
            ("inserted, untouched", 0, seen(NEW, true), Why::Inserted, false, NEW),
            ("inserted, and changed since", 0, seen(NEW, false), Why::Inserted, false, 0),
            ("changed after that", 0, seen(NEW, false), Why::Touched, true, NEW),
            ("another value", OLD, seen(NEW, false), Why::Touched, true, NEW),
            ("the same value", OLD, seen(OLD, false), Why::Touched, false, OLD),
            ("there before", 0, seen(NEW, false), Why::Known, false, NEW),
            ("missed, and changed", 0, seen(NEW, false), Why::Scanned, true, NEW),
            ("missed, never changed", 0, seen(NEW, true), Why::Scanned, false, NEW),
            ("known, and changed unseen", OLD, seen(NEW, false), Why::Scanned, true, NEW),
        ];
        for (what, before, seen, why, news, after) in cases {
            let mut marks = Marks::empty(0);
            marks.set(3, before);
            assert_eq!(decide(&watch, &mut marks, 3, Some(&seen), why), news, "{what}");
            assert_eq!(marks.get(3), after, "{what}");
        }
    }

    #[test]
    fn a_match_is_news_when_it_begins() {
        let all = Filter::All(Vec::new());
        let watch = Watch::Match { filter: all.clone(), once: false };
        let mut marks = Marks::empty(0);
        let passes = seen(1, false);
        let mut ask = |seen: Option<&Seen>| decide(&watch, &mut marks, 5, seen, Why::Touched);
        assert!(ask(Some(&passes)), "it begins to");
        assert!(!ask(Some(&passes)), "it still does");
        assert!(!ask(None), "it ends");
        assert!(ask(Some(&passes)), "it begins again");

        let once = Watch::Match { filter: all, once: true };
        assert!(!decide(&once, &mut marks, 5, None, Why::Touched));
        assert!(!decide(&once, &mut marks, 5, Some(&passes), Why::Touched), "once is once");
    }
}
