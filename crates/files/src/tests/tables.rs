//! Records one by one, typed values, and files that come back as they went out.

use std::fs::File;

use paceline_model::{Column, ColumnId, ColumnType, TableId};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

fn column(kind: ColumnType, options: &[&str]) -> Column {
    Column {
        id: ColumnId(1),
        table: TableId(1),
        name: kind.as_str().to_owned(),
        title: None,
        kind,
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        smart: None,
    }
}

fn text(content: &str) -> Value {
    Value::Text(content.to_owned())
}

/// What a file of `rows` gives back, typed.
fn back(format: FileFormat, columns: &[Column], rows: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let bench = Bench::new();
    let path = bench.path("table");
    let out: Vec<OutColumn> = columns
        .iter()
        .map(|column| OutColumn { name: column.name.clone(), kind: column.kind })
        .collect();
    let mut writer = Writer::new(format, out, File::create(&path).unwrap()).unwrap();
    rows.iter().for_each(|row| writer.write(row).unwrap());
    writer.finish().unwrap();
    let mut reader = Reader::open_file("table", format, File::open(&path).unwrap()).unwrap();
    let mut read = Vec::new();
    while let Some(row) = reader.next() {
        let (values, _) = row.unwrap().into_parts();
        let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(reader.columns(), names, "{format}");
        let typed = columns.iter().zip(values).map(|(column, value)| typed(column, value).unwrap());
        read.push(typed.collect());
    }
    read
}

#[test]
fn values_of_every_type_come_back_through_every_format() {
    let columns: Vec<Column> =
        ColumnType::ALL.iter().map(|kind| column(*kind, &["a, b", "c;d", "e"])).collect();
    let row = |kind: ColumnType, which: usize| match (kind, which) {
        (_, 2) => Value::Null,
        (ColumnType::Text, 0) => text(" \"quoted\",\r\nand é \u{1F600} "),
        (ColumnType::Number, 0) => Value::Number(-0.1),
        (ColumnType::Number, _) => Value::Int(1 << 53),
        (ColumnType::Currency, 0) => Value::Int(-3),
        (ColumnType::Currency, _) => Value::Number(1.5e300),
        (ColumnType::Relation, 0) => Value::Int(i64::MAX),
        (ColumnType::Relation, _) => Value::Int(1),
        (ColumnType::Boolean, which) => Value::Bool(which == 0),
        (ColumnType::Email, _) => text("ada@example.com"),
        (ColumnType::Url | ColumnType::ImageUrl, _) => text("https://example.com/a?b=c,d"),
        (ColumnType::Phone, _) => text("+44 20 7946 0958"),
        (ColumnType::Datetime, _) => text("2026-11-22T04:05:06.000000Z"),
        (ColumnType::Json, 0) => Value::Json(json!({"a": [1, "x", null], "b": {"c": 1.5}})),
        // As text it must not be taken for a number.
        (ColumnType::Json, _) => Value::Json(json!("5")),
        (ColumnType::Select, 0) => text("a, b"),
        (ColumnType::MultiSelect, 0) => Value::Json(json!(["a, b", "c;d"])),
        (ColumnType::MultiSelect, _) => Value::Json(json!(["e"])),
        (ColumnType::Select, _) => text("e"),
        (ColumnType::Text, _) => text("5"),
    };
    let rows: Vec<Vec<Value>> = (0..3)
        .map(|which| ColumnType::ALL.iter().map(|kind| row(*kind, which)).collect())
        .collect();
    for format in FileFormat::ALL {
        assert_eq!(back(format, &columns, &rows), rows, "{format}");
    }
}

#[test]
fn text_becomes_what_its_column_holds() {
    use ColumnType::{Boolean, Datetime, Json as JsonType, MultiSelect, Number, Select, Text};
    let cases: [(ColumnType, &str, Option<Value>); 20] = [
        (Number, "3.5", Some(Value::Number(3.5))),
        (Number, " 3 ", Some(Value::Int(3))),
        (Number, "-1e3", Some(Value::Number(-1000.0))),
        (Number, "1,234", None),
        (Number, "NaN", None),
        (Number, "inf", None),
        (Number, " ", Some(Value::Null)),
        (Boolean, "true", Some(Value::Bool(true))),
        (Boolean, "No", Some(Value::Bool(false))),
        (Boolean, "maybe", None),
        (JsonType, "{\"a\":1}", Some(Value::Json(json!({"a": 1})))),
        (JsonType, "{a}", None),
        (MultiSelect, "x; y", Some(Value::Json(json!(["x", "y"])))),
        (MultiSelect, "x,z", None),
        (MultiSelect, "[\"y\"]", Some(Value::Json(json!(["y"])))),
        (Select, " x ", Some(text("x"))),
        (Select, "z", None),
        (Text, " as it is ", Some(text(" as it is "))),
        (Datetime, "yesterday", None),
        (Datetime, "2026-11-22T04:05:06Z", Some(text("2026-11-22T04:05:06.000000Z"))),
    ];
    for (kind, given, wanted) in cases {
        assert_eq!(typed(&column(kind, &["x", "y"]), text(given)).ok(), wanted, "{kind} {given:?}");
    }
}

#[test]
fn json_of_another_kind_is_taken_as_the_text_that_it_is() {
    let json = |json: Json| Value::Json(json);
    let cases = [
        (ColumnType::Text, json(json!(5)), Some(text("5"))),
        (ColumnType::Text, json(json!({"a": 1})), Some(text("{\"a\":1}"))),
        (ColumnType::Number, json(json!("5")), Some(Value::Int(5))),
        (ColumnType::Number, json(json!([5])), None),
        (ColumnType::Boolean, json(json!(true)), Some(Value::Bool(true))),
        (ColumnType::Json, json(json!("5")), Some(json(json!("5")))),
    ];
    for (kind, given, wanted) in cases {
        assert_eq!(typed(&column(kind, &[]), given.clone()).ok(), wanted, "{kind} {given:?}");
    }
}

/// What a reader says of each record: its line, and whether it is a row.
fn lines(format: Format, content: &[u8]) -> Vec<(u64, bool)> {
    let content = Cursor::new(content.to_vec());
    let reader = Reader::open(Source::reader("in", Some(format), content)).unwrap();
    reader
        .map(|row| match row {
            Ok(row) => (row.line, true),
            Err(refusal) => (refusal.line, false),
        })
        .collect()
}

#[test]
fn a_bad_record_does_not_stop_what_comes_after_it() {
    let long = "x".repeat(paceline_model::limits::VALUE_BYTES_MAX + 1);
    let very_long = "y".repeat(5 * paceline_model::limits::VALUE_BYTES_MAX);
    let csv: [(String, &[(u64, bool)]); 5] = [
        ("a,b\n1,2\n3\n4,5,6\n7,8\n".into(), &[(2, true), (3, false), (4, false), (5, true)]),
        (format!("a,b\n{long},2\n3,4\n"), &[(2, false), (3, true)]),
        (format!("a,b\n\"{long}\n\",2\n3,4\n"), &[(2, false), (4, true)]),
        (format!("a,b\n{very_long},2\n3,4"), &[(2, false), (3, true)]),
        ("a,b\n1,2\n\"3,4\n5,6\n".into(), &[(2, true), (3, false)]),
    ];
    for (content, wanted) in csv {
        assert_eq!(lines(Format::Csv, content.as_bytes()), wanted);
    }
    assert_eq!(lines(Format::Csv, b"a\nx\xff\ny\n"), [(2, false), (3, true)]);
    let jsonl: [(String, &[(u64, bool)]); 3] = [
        (
            "{\"a\":1}\n[1]\n{\"a\":\n{\"a\":2}\n".into(),
            &[(1, true), (2, false), (3, false), (4, true)],
        ),
        (format!("{{\"a\":\"{very_long}\"}}\n{{\"a\":2}}\n"), &[(1, false), (2, true)]),
        (format!("{{\"a\":\"{very_long}\"}}"), &[(1, false)]),
    ];
    for (content, wanted) in jsonl {
        assert_eq!(lines(Format::Jsonl, content.as_bytes()), wanted);
    }
    assert_eq!(lines(Format::Jsonl, b"{\"a\":\"\xff\"}\n{\"a\":1}\n"), [(1, false), (2, true)]);
}

#[test]
fn what_is_not_parquet_is_refused() {
    let bench = Bench::new();
    let path = bench.path("x.parquet");
    for content in [&b""[..], b"PAR1", b"PAR1\0\0\0\0PAR1", b"a,b\n1,2\n"] {
        fs::write(&path, content).unwrap();
        let opened = Reader::open_parquet("x", File::open(&path).unwrap());
        assert!(opened.unwrap_err().to_string().contains("no Parquet"), "{content:?}");
    }
}

#[test]
fn a_damaged_parquet_file_is_an_error_and_no_panic() {
    let bench = Bench::new();
    let path = bench.path("x.parquet");
    let columns = vec![OutColumn { name: "a".into(), kind: ColumnType::Text }];
    let mut writer =
        Writer::new(FileFormat::Parquet, columns, File::create(&path).unwrap()).unwrap();
    (0..100).for_each(|n| writer.write(&[text(&format!("value {n}"))]).unwrap());
    writer.finish().unwrap();
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        if let Ok(reader) = Reader::open_parquet("x", File::open(&path).unwrap()) {
            assert!(reader.take(1_000).count() <= 1_000);
        }
    }
}

#[test]
fn a_number_that_parquet_cannot_keep_is_refused_rather_than_changed() {
    let columns = vec![OutColumn { name: "id".into(), kind: ColumnType::Number }];
    let mut writer = Writer::new(FileFormat::Parquet, columns, Vec::new()).unwrap();
    let error = writer.write(&[Value::Int((1 << 53) + 1)]).unwrap_err().to_string();
    assert!(error.contains("row 1, column \"id\": 9007199254740993"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_text_comes_back_through_every_format(
        rows in proptest::collection::vec(proptest::collection::vec("(?s).{1,12}", 2), 0..8)
    ) {
        let mut columns = vec![column(ColumnType::Text, &[]), column(ColumnType::Text, &[])];
        columns[1].name = "b, \"c\"".to_owned();
        let rows: Vec<Vec<Value>> =
            rows.iter().map(|row| row.iter().map(|cell| text(cell)).collect()).collect();
        for format in FileFormat::ALL {
            prop_assert_eq!(back(format, &columns, &rows), rows.clone(), "{}", format);
        }
    }
}
