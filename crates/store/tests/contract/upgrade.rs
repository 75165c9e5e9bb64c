//! A database that an earlier version wrote is opened by this one, and everything is there. What is written here is what
//! that version wrote, statement by statement: its migrations stand in the repository for good.

use std::path::Path;

use paceline_clock::SimClock;
use paceline_model::{
    AttemptClass, CellState, ChangeKind, ColumnChange, ColumnType, Recovery, RowId, RowQuery,
    RunStatus, Scope, Value,
};

use crate::backends::Home;
use crate::support::{Scene, column};

/// The history of the version before the platform, by backend.
const SQLITE: [&str; 3] = ["spine", "budgets", "notes"];
const POSTGRES: [&str; 1] = ["spine"];

/// What it kept; `{}` stands for what a name of a table begins with.
const DATA: &str = r#"
INSERT INTO {}_ht_tables (name, description, last_row, changes_kept, created_at) VALUES ('leads', 'people', 3, 2, 1000000);
INSERT INTO {}_ht_columns (table_id, name, title, kind, smart_kind, config, rate_limit, version) VALUES
    (1, 'email', 'E-Mail', 'email', NULL, NULL, NULL, NULL),
    (1, 'tag', NULL, 'select', NULL, NULL, NULL, NULL),
    (1, 'city', NULL, 'text', 'http', '{"url":"https://vendor.example/{{email}}"}', '"gentle"', 4);
INSERT INTO {}leads VALUES (1, 1000000, 1000000, 'a@example.com', 'hot', 'Bern'), (3, 1000000, 2000000, NULL, NULL, NULL);
INSERT INTO {}_ht_cells VALUES (3, 1, 'completed', NULL, NULL, 4, 1, 2000000), (3, 3, 'failed', 'HTTP_STATUS', 'no', 4, 1, 2000000);
INSERT INTO {}_ht_runs (table_id, column_id, scope, status, cursor_row, last_row, total, completed, failed, calls, created_at, updated_at)
    VALUES (1, 3, 'all', 'completed', 3, 3, 2, 1, 1, 2, 1000000, 2000000),
    (1, 3, 'failed', 'running', 3, 3, 1, 0, 0, 0, 3000000, 3000000);
INSERT INTO {}_ht_tasks (run_id, row_id, owner, lease_until) VALUES (2, 3, 77, 4000000);
INSERT INTO {}_ht_attempts VALUES (3, 1, 1, 1, 0, 1500000, 1600000, 200, 'success', NULL, NULL);
INSERT INTO {}_ht_changes (sequence, table_id, at, kind) VALUES (1, 1, 1000000, 'schema');
INSERT INTO {}_ht_changes (sequence, table_id, at, kind, first_row, last_row) VALUES (2, 1, 1000000, 'rows_inserted', 1, 3);
INSERT INTO {}_ht_settings VALUES ('api_key', 'hash');
INSERT INTO {}_ht_budgets VALUES ('column:3', '{"learnt":1}', 2000000);
INSERT INTO {}_ht_notes VALUES (3, 3, 'note', 2000000);
"#;

/// A migration as it stands in the repository, and what a database remembers of it.
fn migration(backend: &str, number: usize, name: &str) -> (String, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(backend);
    let sql = std::fs::read_to_string(folder.join(format!("{number:04}_{name}.sql"))).unwrap();
    let remembered = format!(
        "INSERT INTO {{}}_ht_migrations VALUES ({number}, '{name}', '{}', 1000000);",
        blake3::hash(sql.as_bytes()).to_hex()
    );
    (sql, remembered)
}

/// A SQLite file of that version.
fn old_sqlite() -> Home {
    let home = Home::sqlite();
    let file = rusqlite::Connection::open(home.dir.path().join("paceline.db")).unwrap();
    file.execute_batch(
        "PRAGMA journal_mode = wal; PRAGMA application_id = 0x50616365; PRAGMA user_version = 3;
         CREATE TABLE _ht_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,
         checksum TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT;
         CREATE TABLE leads (_ht_id INTEGER PRIMARY KEY, _ht_created_at INTEGER NOT NULL,
         _ht_updated_at INTEGER NOT NULL, \"email\" TEXT, \"tag\" TEXT, \"city\" TEXT) STRICT;",
    )
    .unwrap();
    for (index, name) in SQLITE.iter().enumerate() {
        let (sql, remembered) = migration("sqlite", index + 1, name);
        file.execute_batch(&sql).unwrap();
        file.execute_batch(&remembered.replace("{}", "")).unwrap();
    }
    file.execute_batch(&DATA.replace("{}", "")).unwrap();
    home
}

/// A PostgreSQL database of that version.
fn old_postgres() -> Option<Home> {
    let home = Home::postgres()?;
    home.shell(
        "CREATE SCHEMA paceline; CREATE TABLE {}_ht_migrations (number bigint PRIMARY KEY, \
         name text NOT NULL, checksum text NOT NULL, applied_at bigint NOT NULL); \
         CREATE TABLE {}leads (_ht_id bigint PRIMARY KEY, _ht_created_at bigint NOT NULL, \
         _ht_updated_at bigint NOT NULL, email text COLLATE \"C\", tag text COLLATE \"C\", \
         city text COLLATE \"C\")",
    );
    for (index, name) in POSTGRES.iter().enumerate() {
        let (sql, remembered) = migration("postgres", index + 1, name);
        home.shell(&sql);
        home.shell(&remembered);
    }
    home.shell(DATA);
    home.shell("SELECT setval('{}_ht_changes_sequence', 2)");
    Some(home)
}

#[test]
fn everything_that_an_earlier_version_kept_is_there() {
    for home in [Some(old_sqlite()), old_postgres()].into_iter().flatten() {
        println!("backend: {}", home.name);
        let sim = SimClock::new();
        sim.run(async |clock| {
            let scene = Scene::open(&home, &sim, clock);
            is_all_there(&scene).await;
            goes_on(&scene).await;
        });
        // Once more: what was brought up to date stays so.
        sim.run(async |clock| {
            let scene = Scene::open(&home, &sim, clock);
            assert_eq!(scene.store.tables().await.unwrap().len(), 1);
        });
    }
}

async fn is_all_there(scene: &Scene) {
    let store = &scene.store;
    let table = store.table("leads").await.unwrap().unwrap();
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!((names, table.description.as_str()), (vec!["email", "tag", "city"], "people"));
    assert!(table.columns.iter().all(|column| column.options.is_empty()));
    let city = &table.columns[2];
    let smart = city.smart.as_ref().unwrap();
    assert_eq!((smart.version, smart.rate_limit.as_str()), (4, Some("gentle")));
    let columns = table.columns.iter().map(|column| column.id).collect();
    let rows = store.rows(RowQuery { columns, ..RowQuery::of(table.id) }).await.unwrap();
    let text = |text: &str| Value::Text(text.into());
    assert_eq!(rows[0].values, [text("a@example.com"), text("hot"), text("Bern")]);
    assert_eq!((rows.len(), rows[1].id), (2, RowId(3)));
    assert_eq!(scene.states(city.id).await, [(1, CellState::Completed), (3, CellState::Failed)]);
    let runs = store.runs(table.id, 9).await.unwrap();
    let statuses: Vec<RunStatus> = runs.iter().map(|run| run.status).collect();
    assert_eq!(statuses, [RunStatus::Running, RunStatus::Completed]);
    assert_eq!(runs[1].counts.completed, 1);
    let attempts = store.attempts(city.id, RowId(1)).await.unwrap();
    assert_eq!(attempts[0].class, AttemptClass::Success);
    let (changes, oldest) = store.changes_after(table.id, 0, 9).await.unwrap();
    assert_eq!((changes.len(), oldest), (2, 1));
    assert_eq!(store.setting("api_key").await.unwrap().as_deref(), Some("hash"));
    let budget = store.load_budget("column:3").await.unwrap().unwrap();
    assert_eq!(budget.snapshot, r#"{"learnt":1}"#);
    assert_eq!(store.note(city.id, RowId(3)).await.unwrap().as_deref(), Some("note"));
    assert_eq!(store.deleted_tables().await.unwrap(), []);
    assert_eq!(store.items("api_key", None).await.unwrap(), []);
}

async fn goes_on(scene: &Scene) {
    let store = &scene.store;
    let table = store.table("leads").await.unwrap().unwrap();
    let tag = table.columns[1].id;
    let renamed = ColumnChange { name: Some("label".into()), ..Default::default() };
    let renamed = store.update_column(tag, renamed).await.unwrap();
    assert_eq!((renamed.kind, renamed.options.len()), (ColumnType::Select, 0));
    let given = Some(vec!["hot".to_owned()]);
    let given = ColumnChange { options: given, ..Default::default() };
    assert_eq!(store.update_column(tag, given).await.unwrap().options, ["hot"]);
    let run = store.runs(table.id, 1).await.unwrap().remove(0);
    assert_eq!(
        (run.scope, store.recover_run(run.id, Recovery::Once).await.unwrap()),
        (Scope::Failed, 1)
    );
    store.set_run_status(run.id, RunStatus::Cancelled, None).await.unwrap();
    let (changes, _) = store.changes_after(table.id, 2, 9).await.unwrap();
    assert_eq!(changes.last().unwrap().kind, ChangeKind::Run { run: run.id });
    let added = store.add_column(table.id, column("phone", ColumnType::Phone)).await.unwrap();
    assert_eq!(added.id.0, 4);
    let last = store.insert_rows(table.id, &[added.id], vec![vec![Value::Null]]).await.unwrap();
    assert_eq!(last, Some((RowId(4), RowId(4))));
    store.delete_table(table.id).await.unwrap();
    store.restore_table(table.id, None).await.unwrap();
}
