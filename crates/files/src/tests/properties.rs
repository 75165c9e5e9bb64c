//! What must hold for any content, with the `csv` crate and `serde_json` as the judges.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value as Json};

use super::*;
use crate::delimited::Records;
use crate::error::Fault;

/// Mostly what is special to a table, sometimes anything.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a,;\t\"\r\n é}]{0,8}",
        1 => any::<String>(),
    ]
}

/// A header of distinct names and rows of as many fields.
fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    (1..6_usize).prop_flat_map(|columns| {
        let row = vec(field(), columns);
        (vec(field(), columns), vec(row, 0..8)).prop_map(|(names, rows)| {
            let numbered = names.iter().enumerate().map(|(n, name)| format!("{name}|{n}"));
            let mut table = vec![numbered.collect::<Vec<_>>()];
            table.extend(rows);
            table
        })
    })
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-1_000_000_i32..1_000_000).prop_map(|n| Json::from(f64::from(n) / 64.0)),
        field().prop_map(Json::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Json::from),
            vec((field(), inner), 0..4)
                .prop_map(|entries| Json::Object(entries.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Map<String, Json>> {
    vec((field(), json()), 0..5).prop_map(|entries| entries.into_iter().collect())
}

fn cell(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(text.clone()),
        other => Value::Json(other.clone()),
    }
}

fn judge(bytes: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn delimiter_of(format: Format) -> u8 {
    if format == Format::Tsv { b'\t' } else { b',' }
}

fn encode(table: &[Vec<String>], format: Format, crlf: bool) -> Vec<u8> {
    let terminator = if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    let mut writer = csv::WriterBuilder::new()
        .delimiter(delimiter_of(format))
        .terminator(terminator)
        .from_writer(Vec::new());
    table.iter().for_each(|row| writer.write_record(row).unwrap());
    writer.into_inner().unwrap()
}

fn separated() -> impl Strategy<Value = Format> {
    prop_oneof![Just(Format::Csv), Just(Format::Tsv)]
}

proptest! {
    #[test]
    fn a_table_survives_with_one_more_column(
        table in table(),
        new in vec(json(), 8),
        (from, to) in (separated(), separated()),
        crlf: bool,
        step in 1..40_usize,
    ) {
        let bench = Bench::new();
        let input = Cursor::new(encode(&table, from, crlf));
        let spooled = bench.spool_reader(Some(from), Slowly { input, step }).unwrap();
        prop_assert_eq!(spooled.rows, table.len() as u64 - 1);
        let cells: Vec<Value> = new.iter().take(table.len() - 1).map(cell).collect();
        let bytes = written(&spooled, to, "new", &cells).unwrap();

        let mut wanted = table;
        wanted[0].push("new".to_owned());
        for (row, cell) in wanted[1..].iter_mut().zip(&cells) {
            row.push(cell.to_text());
        }
        prop_assert_eq!(judge(&bytes, delimiter_of(to)), wanted);
    }

    #[test]
    fn records_are_what_the_judge_reads(content in "[ab,\"\r\n\té]{0,40}", capacity in 1..20_usize) {
        let buffered = io::BufReader::with_capacity(capacity, content.as_bytes());
        let mut records = Records::new(buffered, b',');
        let mut found = Vec::new();
        let mut raw = String::new();
        let outcome = loop {
            match records.next() {
                Ok(Some(record)) => {
                    found.push(record.fields().map(std::borrow::Cow::into_owned).collect::<Vec<_>>());
                    prop_assert_eq!(record.len, found.last().unwrap().len());
                    raw.push_str(record.text);
                    raw.push_str(record.ending);
                }
                Ok(None) => break Ok(()),
                Err(defect) => break Err(defect),
            }
        };
        let mut wanted = judge(content.as_bytes(), b',');
        match outcome {
            Ok(()) => {
                // Nothing but blank lines is left out of the text.
                let solid = |text: &str| text.replace(['\r', '\n'], "");
                prop_assert_eq!(solid(&raw), solid(&content));
            }
            Err(defect) => {
                // The judge closes an open quote silently; all before it must agree.
                prop_assert!(matches!(defect.fault, Fault::QuoteOpen));
                wanted.pop();
            }
        }
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn an_object_keeps_its_text_and_gains_a_key(
        object in object(), new in json(), name in "[a-z\"é]{1,8}", pretty: bool, pad in "[ \t\r]{0,3}",
    ) {
        prop_assume!(!object.keys().any(|key| key.trim() == name));
        let json = Json::Object(object.clone());
        let spaced = serde_json::to_string_pretty(&json).unwrap().replace('\n', " ");
        let text = format!("{pad}{}{pad}", if pretty { spaced } else { json.to_string() });
        let bench = Bench::new();
        let spooled = bench.spool(Some(Format::Jsonl), text.as_bytes()).unwrap();
        prop_assert_eq!(&spooled.columns, &object.keys().cloned().collect::<Vec<_>>());
        let bytes = written(&spooled, Format::Jsonl, &name, &[cell(&new)]).unwrap();
        let line = String::from_utf8(bytes).unwrap();

        let kept = text.trim_end().strip_suffix('}').unwrap();
        prop_assert!(line.starts_with(kept));
        prop_assert_eq!(line.lines().count(), 1);
        let mut wanted = object;
        wanted.insert(name, new);
        prop_assert_eq!(serde_json::from_str::<Json>(&line).unwrap(), Json::Object(wanted));
    }

    #[test]
    fn objects_become_records_and_records_objects(objects in vec(object(), 1..5), new in json()) {
        prop_assume!(!objects.iter().any(|object| object.keys().any(|key| key.trim() == "new")));
        let lines: String = objects.iter().map(|object| format!("{}\n", Json::Object(object.clone()))).collect();
        let bench = Bench::new();
        let spooled = bench.spool(Some(Format::Jsonl), lines.as_bytes()).unwrap();
        let cells = vec![cell(&new); objects.len()];
        let bytes = written(&spooled, Format::Csv, "new", &cells).unwrap();
        let mut wanted = vec![spooled.columns.iter().cloned().chain(["new".to_owned()]).collect::<Vec<_>>()];
        for object in &objects {
            let texts = spooled.columns.iter().map(|key| cell(object.get(key).unwrap_or(&Json::Null)).to_text());
            wanted.push(texts.chain([cell(&new).to_text()]).collect());
        }
        prop_assert_eq!(judge(&bytes, b','), wanted);

        let read: Vec<_> = spooled
            .batches(&(0..spooled.columns.len()).collect::<Vec<_>>(), 2)
            .unwrap()
            .flat_map(Result::unwrap)
            .collect();
        for (row, object) in read.iter().zip(&objects) {
            for (value, key) in row.iter().zip(&spooled.columns) {
                prop_assert_eq!(&value.to_json(), object.get(key).unwrap_or(&Json::Null));
            }
        }
        prop_assert_eq!(read.len(), objects.len());
    }

    #[test]
    fn a_record_becomes_an_object_of_texts(table in table(), new in json()) {
        let bench = Bench::new();
        let spooled = bench.spool(Some(Format::Csv), &encode(&table, Format::Csv, false)).unwrap();
        let cells = vec![cell(&new); table.len() - 1];
        let bytes = written(&spooled, Format::Jsonl, "new", &cells).unwrap();
        let lines: Vec<Map<String, Json>> = String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        prop_assert_eq!(lines.len(), cells.len());
        for (line, row) in lines.iter().zip(&table[1..]) {
            let mut wanted = Map::new();
            for (name, field) in table[0].iter().zip(row) {
                let value = if field.is_empty() { Json::Null } else { Json::from(field.as_str()) };
                wanted.insert(name.trim().to_owned(), value);
            }
            wanted.insert("new".to_owned(), new.clone());
            prop_assert_eq!(line, &wanted);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(content in vec(any::<u8>(), 0..200), format in 0..4_usize) {
        let format = [Some(Format::Csv), Some(Format::Tsv), Some(Format::Jsonl), None][format];
        let bench = Bench::new();
        match bench.spool(format, &content) {
            Ok(spooled) => prop_assert!(spooled.path.exists()),
            Err(_) => prop_assert!(bench.names().is_empty()),
        }
    }
}
