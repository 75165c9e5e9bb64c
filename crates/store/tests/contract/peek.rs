//! A look at a database that another process works on.

use paceline_clock::Clock;
use paceline_model::{NewTable, Store};
use paceline_store::SqliteStore;

#[tokio::test]
async fn a_reader_sees_what_a_writer_at_work_has_written_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    assert!(SqliteStore::open_to_read(dir.path(), clock.clone()).unwrap().is_none());
    let writer = SqliteStore::open(dir.path(), clock.clone()).unwrap();
    let reader = SqliteStore::open_to_read(dir.path(), clock).unwrap().unwrap();
    let table =
        || NewTable { name: "t".to_owned(), description: String::new(), columns: Vec::new() };
    writer.create_table(table()).await.unwrap();
    assert_eq!(reader.tables().await.unwrap().len(), 1);
    assert!(reader.create_table(table()).await.is_err());
    assert!(reader.set_setting("a", "b").await.is_err());
    drop(reader);
    writer.set_setting("a", "b").await.unwrap();
}
