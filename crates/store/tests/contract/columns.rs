//! Columns that change and go (T2).

use paceline_model::{
    CellState, ChangeKind, Column, ColumnChange, ColumnId, ColumnType, Error, NewColumn, NewTable,
    RowId, RowQuery, RunStatus, Scope, Table, TableChange, Value, limits,
};
use serde_json::json;

use crate::support::{Scene, column, each, finish, smart};

fn named(name: &str) -> ColumnChange {
    ColumnChange { name: Some(name.into()), ..ColumnChange::default() }
}

fn options(options: &[&str]) -> ColumnChange {
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    ColumnChange { options: Some(options), ..ColumnChange::default() }
}

impl Scene {
    async fn read(&self, column: &Column) -> Vec<Value> {
        let query = RowQuery { columns: vec![column.id], ..RowQuery::of(column.table) };
        let rows = self.store.rows(query).await.unwrap();
        rows.into_iter().map(|mut row| row.values.remove(0)).collect()
    }

    async fn schema(&self) -> Table {
        self.store.table("leads").await.unwrap().unwrap()
    }

    /// A table with a column of that type, whose options are a, b and c, and these values.
    async fn chosen(&self, kind: ColumnType, values: Vec<Value>) -> Column {
        let options = ["a", "b", "c"].map(str::to_owned).to_vec();
        let tag = NewColumn { options, ..column("tag", kind) };
        let table =
            NewTable { name: format!("of_{kind}"), description: String::new(), columns: vec![tag] };
        let table = self.store.create_table(table).await.unwrap();
        let rows = values.into_iter().map(|value| vec![value]).collect();
        self.store.insert_rows(table.id, &[table.columns[0].id], rows).await.unwrap();
        table.columns[0].clone()
    }
}

#[test]
fn a_column_goes_by_its_new_name_and_those_that_named_it_follow() {
    each(|scene| async move {
        let (table, city) = scene.filled(2).await;
        let email = &table.columns[0];
        let values = scene.read(email).await;
        let config = json!({"url": "https://vendor.example/{{mail}}"});
        let change = ColumnChange {
            title: Some(Some("E-Mail".into())),
            references: vec![(city.id, config.clone())],
            ..named("mail")
        };
        let changed = scene.store.update_column(email.id, change).await.unwrap();
        let title = Some("E-Mail".into());
        assert_eq!(changed, Column { name: "mail".into(), title, ..email.clone() });
        let found = scene.schema().await;
        assert_eq!(found.columns[0], changed);
        let smart = found.columns[2].smart.as_ref().unwrap();
        assert_eq!((&smart.config, smart.version), (&config, 1), "the calls are the same");
        assert_eq!(scene.read(email).await, values);
        // The old name may be another's.
        let other = column("email", ColumnType::Number);
        let other = scene.store.add_column(table.id, other).await.unwrap();
        assert_eq!(scene.read(&other).await, [Value::Null, Value::Null]);
        assert_eq!(scene.read(email).await, values);
        let untitled = ColumnChange { title: Some(None), ..ColumnChange::default() };
        assert_eq!(scene.store.update_column(email.id, untitled).await.unwrap().title, None);
        scene.add_rows(&table, 1).await;
        let run = scene.start(&city, Scope::All).await;
        let run = scene.finish_all(&run, 1, CellState::Completed).await;
        assert_eq!(run.counts.completed, 3);
    });
}

#[test]
fn columns_of_other_tables_that_name_a_column_or_its_table_follow_and_their_table_tells() {
    each(|scene| async move {
        let (table, city) = scene.filled(1).await;
        let only = vec![column("code", ColumnType::Text)];
        let new = NewTable { name: "codes".into(), description: String::new(), columns: only };
        let codes = scene.store.create_table(new).await.unwrap();
        let told = async |of: &Table| {
            let (changes, _) = scene.store.changes_after(of.id, 0, 99).await.unwrap();
            changes.iter().filter(|change| change.kind == ChangeKind::Schema).count()
        };
        let config = async || {
            let column = scene.schema().await.columns.into_iter().find(|known| known.id == city.id);
            column.unwrap().smart.unwrap().config
        };
        let before = (told(&table).await, told(&codes).await);
        let references = vec![(city.id, json!({"value": "kode"}))];
        let change = ColumnChange { references, ..named("kode") };
        scene.store.update_column(codes.columns[0].id, change).await.unwrap();
        assert_eq!(config().await, json!({"value": "kode"}));
        assert_eq!((told(&table).await, told(&codes).await), (before.0 + 1, before.1 + 1));
        let references = vec![(city.id, json!({"table": "kinds"}))];
        let name = Some("kinds".into());
        let change = TableChange { name, references, ..TableChange::default() };
        scene.store.update_table(codes.id, change).await.unwrap();
        assert_eq!(config().await, json!({"table": "kinds"}));
        assert_eq!((told(&table).await, told(&codes).await), (before.0 + 2, before.1 + 2));
        let references = vec![(ColumnId(99), json!({}))];
        let change = TableChange { references, ..TableChange::default() };
        let refused = scene.store.update_table(codes.id, change).await.unwrap_err();
        assert!(matches!(refused, Error::Missing(_)), "{refused}");
        assert_eq!(told(&codes).await, before.1 + 2);
    });
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    each(|scene| async move {
        let (table, city) = scene.filled(1).await;
        let (email, store) = (table.columns[0].id, &scene.store);
        let (before, _) = store.changes_after(table.id, 0, 99).await.unwrap();
        let taken = store.update_column(email, named("score")).await.unwrap_err();
        assert!(matches!(&taken, Error::Exists(text) if text.contains("score")), "{taken}");
        for bad in ["", "A", "_ht_id", "a\"; --"] {
            let refused = store.update_column(email, named(bad)).await.unwrap_err();
            assert!(matches!(refused, Error::Invalid(_)), "{bad}: {refused}");
        }
        let missing = store.update_column(ColumnId(99), named("x")).await.unwrap_err();
        assert!(matches!(missing, Error::Missing(_)), "{missing}");
        let plain = vec![(table.columns[1].id, json!({}))];
        let change = ColumnChange { references: plain, ..named("mail") };
        let refused = store.update_column(email, change).await.unwrap_err();
        assert!(matches!(refused, Error::Missing(_)), "{refused}");
        let run = scene.start(&city, Scope::All).await;
        let busy = store.update_column(city.id, named("town")).await.unwrap_err();
        assert!(matches!(busy, Error::Conflict(_)), "{busy}");
        let busy = store.delete_column(city.id).await.unwrap_err();
        assert!(matches!(&busy, Error::Conflict(text) if text.contains("city")), "{busy}");
        store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
        assert_eq!(scene.schema().await, table);
        let (after, _) = store.changes_after(table.id, 0, 99).await.unwrap();
        assert_eq!(after.len(), before.len() + 2, "those of the run");
    });
}

#[test]
fn options_are_kept_and_those_that_a_row_holds_stay() {
    each(|scene| async move {
        let text = |text: &str| Value::Text(text.into());
        let list = |json| Value::Json(json);
        let cases = [
            (ColumnType::Select, vec![text("b"), Value::Null, text("none of them")]),
            (
                ColumnType::MultiSelect,
                vec![
                    list(json!(["c", "b"])),
                    Value::Null,
                    list(json!(["b\u{0}"])),
                    list(json!([])),
                ],
            ),
        ];
        for (kind, values) in cases {
            let tag = scene.chosen(kind, values).await;
            assert_eq!(tag.options, ["a", "b", "c"]);
            let refused = scene.store.update_column(tag.id, options(&["a", "c"])).await;
            let refused = refused.unwrap_err();
            assert!(
                matches!(&refused, Error::Conflict(text) if text.contains("\"b\"")),
                "{refused}"
            );
            let changed = scene.store.update_column(tag.id, options(&["d", "c", "b"])).await;
            let changed = changed.unwrap();
            assert_eq!(changed.options, ["d", "c", "b"]);
            let found = scene.store.table(&tag.table.to_string()).await.unwrap().unwrap();
            assert_eq!(found.columns, [changed]);
        }
    });
}

#[test]
fn options_that_are_none_are_refused() {
    each(|scene| async move {
        let tag = scene.chosen(ColumnType::Select, vec![]).await;
        let many: Vec<String> = (0..=limits::OPTIONS_MAX).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let long = "x".repeat(limits::OPTION_BYTES_MAX + 1);
        for bad in [&[][..], &["a", "a"], &[""], &["\0"], &[&long], &many] {
            let refused = scene.store.update_column(tag.id, options(bad)).await.unwrap_err();
            assert!(matches!(refused, Error::Invalid(_)), "{refused}");
            let options = bad.iter().map(|option| (*option).to_owned()).collect();
            let new = NewColumn { options, ..column("other", ColumnType::Select) };
            let refused = scene.store.add_column(tag.table, new).await.unwrap_err();
            assert!(matches!(refused, Error::Invalid(_)), "{refused}");
        }
        let new = NewColumn { options: vec!["a".into()], ..column("n", ColumnType::Number) };
        let refused = scene.store.add_column(tag.table, new).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
        let found = scene.store.table(&tag.table.to_string()).await.unwrap().unwrap();
        assert_eq!(found.columns, [tag]);
    });
}

#[test]
fn a_deleted_column_takes_everything_of_it_along_and_nothing_else() {
    each(|scene| async move {
        let (table, city) = scene.filled(2).await;
        let (store, now) = (&scene.store, scene.clock.wall());
        let phone = store.add_column(table.id, smart("phone", ColumnType::Text)).await.unwrap();
        for column in [&city, &phone] {
            let run = scene.start(column, Scope::All).await;
            scene.finish_all(&run, 1, CellState::Completed).await;
            store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
            for part in ["", ":reads", ":overall"] {
                let key = format!("column:{}{part}", column.id);
                store.save_budget(&key, "{}", now).await.unwrap();
            }
            store.save_budget(&format!("column:{}1", column.id), "{}", now).await.unwrap();
        }
        let run = store.runs(table.id, 9).await.unwrap().pop().unwrap();
        assert_eq!(run.column, city.id);
        store.delete_column(city.id).await.unwrap();
        let found = scene.schema().await;
        let left = [table.columns[0].clone(), table.columns[1].clone(), phone.clone()];
        assert_eq!(found.columns, left);
        assert_eq!(scene.states(city.id).await, []);
        assert_eq!(store.attempts(city.id, RowId(1)).await.unwrap(), []);
        let since = paceline_clock::Timestamp::default();
        assert_eq!(store.calls_since(city.id, since, 9).await.unwrap(), []);
        assert_eq!(store.run(run.id).await.unwrap(), None);
        for (part, kept) in [("", false), (":reads", false), (":overall", false), ("1", true)] {
            let key = format!("column:{}{part}", city.id);
            assert_eq!(store.load_budget(&key).await.unwrap().is_some(), kept, "{key}");
        }
        assert_eq!(scene.states(phone.id).await.len(), 2);
        assert_eq!(store.attempts(phone.id, RowId(1)).await.unwrap().len(), 1);
        assert_eq!(store.calls_since(phone.id, since, 9).await.unwrap().len(), 2);
        assert!(store.load_budget(&format!("column:{}", phone.id)).await.unwrap().is_some());
        assert_eq!(scene.read(&phone).await.len(), 2);
        let late = store.record(run.id, 1, vec![finish(1, CellState::Completed, now)]).await;
        assert!(matches!(late.unwrap_err(), Error::Missing(_)));
        let (changes, _) = store.changes_after(table.id, 0, 99).await.unwrap();
        assert_eq!(changes.last().unwrap().kind, ChangeKind::Schema);
        assert!(matches!(store.delete_column(city.id).await.unwrap_err(), Error::Missing(_)));
    });
}

#[test]
fn the_id_of_a_deleted_column_is_never_anothers() {
    each(|scene| async move {
        let (table, city) = scene.filled(1).await;
        let run = scene.start(&city, Scope::All).await;
        scene.finish_all(&run, 1, CellState::Completed).await;
        scene.store.set_run_status(run.id, RunStatus::Completed, None).await.unwrap();
        scene.store.delete_column(city.id).await.unwrap();
        let again =
            scene.store.add_column(table.id, smart("city", ColumnType::Text)).await.unwrap();
        assert!(again.id > city.id);
        assert_eq!(scene.read(&again).await, [Value::Null], "nothing of the old one shows");
        assert_eq!(scene.states(again.id).await, []);
        let run = scene.start(&again, Scope::Empty).await;
        assert_eq!(run.counts.total, 1);
    });
}

#[test]
fn the_last_column_of_a_table_stays() {
    each(|scene| async move {
        let tag = scene.chosen(ColumnType::Select, vec![]).await;
        let refused = scene.store.delete_column(tag.id).await.unwrap_err();
        assert!(matches!(&refused, Error::Conflict(text) if text.contains("last")), "{refused}");
        let other = column("other", ColumnType::Text);
        scene.store.add_column(tag.table, other).await.unwrap();
        scene.store.delete_column(tag.id).await.unwrap();
    });
}
