//! Filters and orders as JSON, against a table with a column of every type.

use paceline_clock::Timestamp;
use paceline_model::{
    Column, ColumnId, ColumnType, Filter, SmartColumn, SmartKind, Sort, Table, TableId,
};
use serde_json::{Value as Json, json};

/// A filter that is taken is written so that it is taken again as the same; so is an order.
pub fn filter(data: &[u8]) {
    let Ok(json) = serde_json::from_slice::<Json>(data) else { return };
    let table = table();
    match Filter::parse(&table, &json) {
        Ok(filter) => {
            let written = filter.to_json(&table);
            let again = Filter::parse(&table, &written);
            assert_eq!(again.as_ref(), Ok(&filter), "{json} is written {written}");
        }
        Err(error) => assert!(!error.problem.is_empty(), "{json} is refused without a reason"),
    }
    match Sort::parse(&table, &json) {
        Ok(sort) => {
            let written = Sort::to_json(&table, &sort);
            let again = Sort::parse(&table, &written);
            assert_eq!(again.as_ref(), Ok(&sort), "{json} is written {written}");
        }
        Err(error) => assert!(!error.problem.is_empty(), "{json} is refused without a reason"),
    }
}

/// Columns `text`, `number`, ... of each type, the smart one `enriched`, and one by the name of a group.
fn table() -> Table {
    let plain = |name: &str, kind| Column {
        id: ColumnId(0),
        table: TableId(1),
        name: name.to_owned(),
        title: None,
        kind,
        options: Vec::new(),
        smart: None,
    };
    let mut columns: Vec<Column> =
        ColumnType::ALL.iter().map(|kind| plain(kind.as_str(), *kind)).collect();
    columns.push(plain("or", ColumnType::Text));
    let smart = SmartColumn {
        kind: SmartKind::Http,
        config: json!({}),
        rate_limit: json!("gentle"),
        version: 1,
    };
    columns.push(Column { smart: Some(smart), ..plain("enriched", ColumnType::Json) });
    for (column, id) in columns.iter_mut().zip(1..) {
        column.id = ColumnId(id);
        if column.kind == ColumnType::Select || column.kind == ColumnType::MultiSelect {
            column.options = vec!["x".to_owned(), "y".to_owned()];
        }
    }
    Table {
        id: TableId(1),
        name: "leads".to_owned(),
        description: String::new(),
        columns,
        created_at: Timestamp::default(),
    }
}
