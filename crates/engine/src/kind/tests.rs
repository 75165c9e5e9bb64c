//! The kinds that call nobody: batches filled on a real store, configurations refused, columns renamed.

use std::sync::Arc;
use std::time::Duration;

use paceline_clock::{Clock, SimClock};
use paceline_model::{
    Column, ColumnId, ColumnType, NewColumn, NewItem, NewTable, RowId, SmartKind, Store, Table,
    Task, Value,
};
use paceline_script::{FunctionCommand, FunctionHost};
use paceline_store::SqliteStore;
use serde_json::{Value as Json, json};

use super::{Around, Bound, Filled, Tools, read};
use crate::{EngineConfig, OutboundGuard, Result};

mod lookup;

fn column(name: &str, kind: ColumnType) -> NewColumn {
    NewColumn { name: name.into(), title: None, kind, options: Vec::new(), smart: None }
}

/// A table of `name (text), n (number), data (json)` whose second column people call `Amount`.
async fn rows(store: &dyn Store) -> Table {
    let mut columns = vec![
        column("name", ColumnType::Text),
        column("n", ColumnType::Number),
        column("data", ColumnType::Json),
    ];
    columns[1].title = Some("Amount".into());
    let new = NewTable { name: "rows".into(), description: String::new(), columns };
    store.create_table(new).await.unwrap()
}

fn tools(store: Arc<dyn Store>, clock: &Clock) -> Tools {
    Tools::new(store, clock.clone(), &EngineConfig::default())
}

/// A column as the results are for.
fn target(kind: ColumnType) -> Column {
    Column {
        id: ColumnId(99),
        table: paceline_model::TableId(1),
        name: "result".into(),
        title: None,
        kind,
        options: Vec::new(),
        smart: None,
    }
}

fn bound(kind: SmartKind, config: &Json, table: &Table) -> Result<Bound> {
    read(kind, config)?.bind(table, "result", &OutboundGuard::default())
}

/// Fills cells for rows of a table whose values are these.
async fn fill(
    tools: &Tools,
    kind: SmartKind,
    config: Json,
    table: &Table,
    into: ColumnType,
    rows: &[[Value; 3]],
) -> Result<Vec<Filled>> {
    let around = Around { store: tools.store.as_ref(), sealer: None };
    let spec = read(kind, &config)?.resolved(around).await?;
    let bound = spec.bind(table, "result", &OutboundGuard::default())?;
    let Bound::Local(local) = bound else { panic!("it calls somebody") };
    assert!(local.identity().starts_with(kind.as_str()));
    let at = |id: &ColumnId| table.columns.iter().position(|column| column.id == *id).unwrap();
    let tasks: Vec<Task> = rows
        .iter()
        .enumerate()
        .map(|(row, values)| Task {
            row: RowId(row as i64 + 1),
            inputs: local.inputs().iter().map(|id| values[at(id)].clone()).collect(),
            errors: 0,
            attempts: 0,
            throttled_since: None,
            not_before: None,
            note: None,
            cell: None,
            states: Vec::new(),
        })
        .collect();
    local.fill(tools, &target(into), &tasks).await
}

fn codes(filled: &[Filled]) -> Vec<&str> {
    filled
        .iter()
        .map(|cell| cell.as_ref().map_or_else(|error| error.code.as_str(), |_| ""))
        .collect()
}

fn row(name: &str, n: f64, data: Json) -> [Value; 3] {
    [Value::Text(name.into()), Value::Number(n), Value::Json(data)]
}

#[test]
fn a_formula_fills_cells_of_its_type_and_tells_those_that_do_not_fit() {
    SimClock::new().run(|clock| async move {
        let store: Arc<dyn Store> = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let table = rows(store.as_ref()).await;
        let tools = tools(store, &clock);
        let rows = [row("a", 2.0, json!({"k": [1]})), row("b", 3.5, json!(null))];
        let formula = |text: &str| json!({"formula": text});
        let kind = SmartKind::Formula;
        let filled =
            fill(&tools, kind, formula("n * 2"), &table, ColumnType::Number, &rows).await.unwrap();
        assert_eq!(filled, [Ok(Value::Int(4)), Ok(Value::Int(7))]);
        // Text shows numbers.
        let filled =
            fill(&tools, kind, formula("Amount"), &table, ColumnType::Text, &rows).await.unwrap();
        assert_eq!(filled, [Ok(Value::Text("2".into())), Ok(Value::Text("3.5".into()))]);
        let filled =
            fill(&tools, kind, formula("name"), &table, ColumnType::Number, &rows).await.unwrap();
        assert_eq!(codes(&filled), ["TYPE_MISMATCH"; 2]);
        assert!(filled[0].as_ref().unwrap_err().message.starts_with("the value does not fit"));
        let filled = fill(&tools, kind, formula("data.k[0]"), &table, ColumnType::Number, &rows)
            .await
            .unwrap();
        assert_eq!(codes(&filled), ["", "SCRIPT_ERROR"]);
        // Real time goes on for it, simulated time does not.
        let filled = fill(
            &tools,
            kind,
            formula("if (n === 2) for (;;); return n"),
            &table,
            ColumnType::Number,
            &rows,
        );
        assert_eq!(codes(&filled.await.unwrap()), ["SCRIPT_TIMEOUT", ""]);
    });
}

#[test]
fn an_extract_takes_a_part_and_is_empty_where_there_is_none() {
    SimClock::new().run(|clock| async move {
        let store: Arc<dyn Store> = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let table = rows(store.as_ref()).await;
        let tools = tools(store, &clock);
        let rows = [
            row("{\"k\": \"t\"}", 1.0, json!({"k": "v", "l": [1, 2]})),
            row("no json", 1.0, json!({})),
            row("1", 1.0, json!(null)),
        ];
        let from = |from: &str, path: &str, required: bool| json!({"from": from, "path": path, "required": required});
        let kind = SmartKind::Extract;
        let filled = fill(&tools, kind, from("data", "$.k", false), &table, ColumnType::Text, &rows).await.unwrap();
        assert_eq!(filled, [Ok(Value::Text("v".into())), Ok(Value::Null), Ok(Value::Null)]);
        let filled = fill(&tools, kind, from("data", "$.k", true), &table, ColumnType::Text, &rows).await.unwrap();
        assert_eq!(codes(&filled), ["", "NOT_FOUND", "NOT_FOUND"]);
        let filled = fill(&tools, kind, from("data", "$.l[*]", false), &table, ColumnType::Json, &rows).await.unwrap();
        assert_eq!(filled[0], Ok(Value::Json(json!([1, 2]))));
        let filled = fill(&tools, kind, from("name", "$.k", false), &table, ColumnType::Text, &rows).await.unwrap();
        assert_eq!((&filled[0], codes(&filled)), (&Ok(Value::Text("t".into())), vec!["", "NOT_JSON", ""]));
        let filled = fill(&tools, kind, from("data", "$.k", false), &table, ColumnType::Number, &rows).await.unwrap();
        assert_eq!(codes(&filled), ["TYPE_MISMATCH", "", ""]);
    });
}

/// A second table `codes` with `code (text), size (number), label (text)`.
#[test]
fn a_function_without_its_process_cannot_begin_and_a_process_that_dies_is_an_error_of_its_cell() {
    // A child needs a runtime that reads and writes.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clock = Clock::system();
    runtime.block_on(async move {
        let store: Arc<dyn Store> = SqliteStore::open_in_memory(clock.clone()).unwrap();
        let table = rows(store.as_ref()).await;
        let mut tools = tools(store, &clock);
        let rows = [row("a", 2.0, json!(1))];
        let code = json!({"code": "(row) => row.n * 2"});
        let none =
            fill(&tools, SmartKind::Function, code.clone(), &table, ColumnType::Number, &rows)
                .await;
        assert_eq!(none.unwrap_err().code(), "CONFLICT");
        let command = FunctionCommand { program: "true".into(), args: Vec::new() };
        tools.functions =
            Some(FunctionHost::new(command, clock.clone(), Duration::from_secs(1), 1));
        let filled = fill(&tools, SmartKind::Function, code, &table, ColumnType::Number, &rows)
            .await
            .unwrap();
        assert_eq!(codes(&filled), ["FUNCTION_CRASHED"]);
        let stored = json!({"function": "double", "args": {"n": "{{n}}"}});
        let gone =
            fill(&tools, SmartKind::Function, stored.clone(), &table, ColumnType::Number, &rows)
                .await;
        let gone = gone.unwrap_err().to_string();
        assert!(gone.starts_with("config.function: there is no function \"double\""), "{gone}");
        let body =
            json!({"source": "function double(row) { return row.n * 2 }", "description": ""});
        let item = NewItem { kind: "function", table: None, name: "double".into(), body };
        tools.store.create_item(item).await.unwrap();
        let filled = fill(&tools, SmartKind::Function, stored, &table, ColumnType::Number, &rows)
            .await
            .unwrap();
        assert_eq!(codes(&filled), ["FUNCTION_CRASHED"]);
    });
}

#[test]
fn what_a_column_needs_is_told_without_compiling_it() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock).unwrap();
        let table = rows(store.as_ref()).await;
        use SmartKind::{Formula, Function};
        for (kind, field, code, compiles) in [
            (Formula, "formula", "name + Amount", true),
            (Formula, "formula", "name + Amount +", false),
            (Function, "code", "row => row.name + row.Amount", true),
            (Function, "code", "row => row.name + row.Amount +", false),
        ] {
            let config = json!({ field: code });
            let guard = OutboundGuard::default();
            let told = read(kind, &config).unwrap().inputs(&table, "result", &guard).unwrap();
            let mut sorted = told.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [table.columns[0].id, table.columns[1].id], "{code}");
            let bound = bound(kind, &config, &table).ok().map(|bound| bound.inputs().to_vec());
            assert_eq!(bound, compiles.then_some(told), "{code}");
        }
    });
}

#[test]
fn a_configuration_is_refused_with_its_field() {
    SimClock::new().run(|clock| async move {
        let store = SqliteStore::open_in_memory(clock).unwrap();
        let table = rows(store.as_ref()).await;
        use SmartKind::{Extract, Formula, Function, Lookup};
        for (kind, config, told) in [
            (Formula, json!({}), "config.formula: is required"),
            (
                Formula,
                json!({"formulae": "1"}),
                "config.formulae: there is no such field; the fields are formula",
            ),
            (Formula, json!({"formula": 1}), "config.formula: invalid type"),
            (Formula, json!({"formula": "1 +"}), "config.formula: SyntaxError"),
            (
                Formula,
                json!({"formula": "nam"}),
                "config.formula: there is no column \"nam\"; did you mean \"name\"?",
            ),
            (Formula, json!("1"), "config: must be an object"),
            (Function, json!({}), "config.function: is required"),
            (Function, json!({"function": "f"}), "config.args: is required"),
            (
                Function,
                json!({"function": "f", "code": "1", "args": {}}),
                "config.code: is given beside function",
            ),
            (Function, json!({"code": "function f( {"}), "config.code: SyntaxError"),
            (
                Function,
                json!({"code": "1", "args": {"a": "{{nope}}"}}),
                "a: template: there is no column \"nope\"",
            ),
            (
                Extract,
                json!({"from": "dat", "path": "$.a"}),
                "config.from: there is no column \"dat\"",
            ),
            (Extract, json!({"from": "data", "path": "a"}), "config.path: is no JSONPath"),
            (Extract, json!({"from": "data"}), "config.path: is required"),
            (
                Extract,
                json!({"from": "result", "path": "$"}),
                "config.from: there is no column \"result\"",
            ),
            (Lookup, json!({"match": {}}), "config.table: is required"),
            (Lookup, json!({"table": "t", "value": "v"}), "config.match: is required"),
            (Lookup, json!({"table": "t", "match": {"a": "{{n}}"}}), "config.value: is required"),
            (
                Lookup,
                json!({"table": "t", "match": {"a": "{{nn}}"}, "value": "v"}),
                "config.match.a: template",
            ),
            (
                Lookup,
                json!({"table": "t", "match": {"a": "1"}, "value": "v", "many": "some"}),
                "config.many: unknown variant",
            ),
        ] {
            let error = bound(kind, &config, &table).err().unwrap_or_else(|| panic!("{config}"));
            assert!(error.to_string().starts_with(told), "{config}: {error}");
        }
    });
}

#[test]
fn a_new_name_of_a_column_is_followed_or_refused() {
    use SmartKind::{Extract, Formula, Function, Lookup};
    let rename = |text: &str| Ok(text.replace("{{n}}", "{{total}}"));
    for (kind, config, expected) in [
        (Formula, json!({"formula": "n + x.n"}), Some(json!({"formula": "total + x.n"}))),
        (Formula, json!({"formula": "n + total"}), None),
        (
            Extract,
            json!({"from": "n", "path": "$.n"}),
            Some(json!({"from": "total", "path": "$.n"})),
        ),
        (
            Function,
            json!({"code": "row.n", "args": {"n": "{{n}}"}}),
            Some(json!({"code": "row.n", "args": {"n": "{{total}}"}})),
        ),
        (Function, json!({"code": "row.n"}), None),
        (Function, json!({"code": "row.m"}), Some(json!({"code": "row.m"}))),
        (
            Lookup,
            json!({"table": "t", "match": {"n": "{{n}}"}, "value": "n"}),
            Some(json!({"table": "t", "match": {"n": "{{total}}"}, "value": "n"})),
        ),
    ] {
        let renamed = read(kind, &config).unwrap().renamed(&rename);
        match expected {
            Some(expected) => assert_eq!(renamed.unwrap().to_json(), expected, "{config}"),
            None => assert_eq!(renamed.err().unwrap().code(), "CONFLICT", "{config}"),
        }
    }
}
