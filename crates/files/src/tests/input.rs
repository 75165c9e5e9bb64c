//! What is accepted, what is refused and in which words, and that a refusal leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use paceline_model::limits;
use serde_json::json;

use super::*;

const CSV: Option<Format> = Some(Format::Csv);
const JSONL: Option<Format> = Some(Format::Jsonl);

#[test]
fn a_name_tells_its_format() {
    let cases = [
        ("a.csv", CSV),
        ("dir.d/A.CSV", CSV),
        ("a.tsv", Some(Format::Tsv)),
        ("a.jsonl", JSONL),
        ("a.NDJSON", JSONL),
        ("a.json", None),
        ("csv", None),
        ("-", None),
    ];
    for (name, wanted) in cases {
        assert_eq!(Format::of_path(Path::new(name)), wanted, "{name}");
    }
}

#[test]
fn good_tables_are_kept_as_they_are() {
    let cases: [(Option<Format>, &str, &[&str], u64); 20] = [
        (CSV, "a,b\n1,2\n", &["a", "b"], 1),
        (CSV, "a,b\n1,2", &["a", "b"], 1),
        (CSV, "a,b\r\n1,2\r\n3,4\r\n", &["a", "b"], 2),
        (CSV, "a,b\r1,2\r", &["a", "b"], 1),
        (CSV, "a,b\n", &["a", "b"], 0),
        (CSV, "a", &["a"], 0),
        (CSV, " a ,\" b\"\n1,2\n", &["a", "b"], 1),
        (CSV, "\n\r\na\n\n1\n\n\n", &["a"], 1),
        (CSV, "a\n\"\"\n", &["a"], 1),
        (CSV, "a,b\n\"x\ny\",\"say \"\"hi\"\"\"\n", &["a", "b"], 1),
        (CSV, "a;b\n1;2\n", &["a;b"], 1),
        (Some(Format::Tsv), "a\tb\n1,2\t3\n", &["a", "b"], 1),
        (JSONL, "{\"a\":1}\n{\"b\":2,\"a\":3}\n", &["a", "b"], 2),
        (JSONL, "\n  \n {\"a\":1} \r\n\n{}\n\n", &["a"], 2),
        (JSONL, "{}", &[], 1),
        (JSONL, "{\"a\":{\"x\":1},\"\\u0062\":{\"x\":2}}", &["a", "b"], 1),
        (None, "a,b\n1,2\n", &["a", "b"], 1),
        (None, " \n {\"a\":1}\n", &["a"], 1),
        (None, "x", &["x"], 0),
        (None, "é\n1\n", &["é"], 1),
    ];
    for (format, content, columns, rows) in cases {
        for step in [1, 3, usize::MAX] {
            for mark in ["", "\u{feff}"] {
                let bench = Bench::new();
                let input = Cursor::new(format!("{mark}{content}").into_bytes());
                let spooled = bench.spool_reader(format, Slowly { input, step });
                let spooled = spooled.unwrap_or_else(|error| panic!("{content:?}: {error}"));
                assert_eq!(spooled.columns, columns, "{content:?}");
                assert_eq!(spooled.rows, rows, "{content:?}");
                assert_eq!(fs::read_to_string(&spooled.path).unwrap(), content);
                assert_eq!(spooled.fingerprint, blake3::hash(content.as_bytes()).to_string());
                assert_eq!(bench.names(), ["spool"]);
                spooled.check_kept().unwrap();
            }
        }
    }
}

#[test]
fn bad_tables_are_refused_with_their_line_and_leave_nothing() {
    let cases: [(Option<Format>, &[u8], &str); 32] = [
        (CSV, b"", "in, line 1: there is nothing in it"),
        (CSV, b"\xEF\xBB\xBF", "line 1: there is nothing in it"),
        (CSV, b"\n\n", "line 1: there is nothing in it"),
        (None, b" ", "line 1: column 1 of the header has no name"),
        (CSV, b"a,,c\n", "line 1: column 2 of the header has no name"),
        (CSV, b"\n a,\" \"\n", "line 2: column 2 of the header has no name"),
        (CSV, b"a,b, a\n1,2,3\n", "line 1: the header names \"a\" twice, as columns 1 and 3"),
        (CSV, b"a,b\n1,2\n1\n", "line 3: 1 field where the header has 2"),
        (CSV, b"a,b\r\n\r\n1,2,3\r\n", "line 3: 3 fields where the header has 2"),
        (CSV, b"a,b\n\"x\n\r\ny\",1\n1\n", "line 5: 1 field where the header has 2"),
        (CSV, b"a,b\r1,2\r1\r", "line 3: 1 field where the header has 2"),
        (CSV, b"a,b\n1,2\n3,\"x\ny\nz\n", "line 3: a quoted field begins here and never ends"),
        (CSV, b"a,b\n\"x\ny\",\"z\n", "line 3: a quoted field begins here and never ends"),
        (CSV, b"a\nb\xFFc\n", "line 2: byte 2 of the line is not UTF-8"),
        (CSV, b"a,b\n\"x\ny\xE9\",2\n", "line 3: byte 2 of the line is not UTF-8"),
        (CSV, b"a,b\n\"\xE9\n", "line 2: byte 2 of the line is not UTF-8"),
        (CSV, b"a\n\xC3", "line 2: byte 1 of the line is not UTF-8"),
        (CSV, b"\xFF\xFEa\0,\0", "line 1: this is UTF-16"),
        (None, b"\xFE\xFF\0a\0,", "line 1: this is UTF-16"),
        (JSONL, b"", "line 1: there is nothing in it"),
        (JSONL, b"\n \n", "line 1: there is nothing in it"),
        (JSONL, b"{}\n[1]\n", "line 2: a list where an object should begin"),
        (JSONL, b"{}\n\n\"x\"\n", "line 3: a text where an object should begin"),
        (JSONL, b"a,b\n", "line 1: something that is not JSON where an object should begin"),
        (JSONL, b"{\"a\":1}\n{\"a\":\n1}\n", "line 2: EOF while parsing a value (byte 5)"),
        (JSONL, b"{\"a\":1}{\"a\":2}\n", "line 1: trailing characters (byte 8)"),
        (JSONL, b"{\"a\":01}\n", "line 1: invalid number (byte 7)"),
        (JSONL, b"{\"a\":\"\\ud800\"}\n", "line 1: unexpected end of hex escape (byte 13)"),
        (JSONL, b"{\"a\":1,\"b\":2,\"\\u0061\":3}\n", "line 1: the key \"a\" stands twice"),
        (JSONL, b"{}\n{\"a\":[{\"b\":1,\"b\":1}]}\n", "line 2: the key \"b\" stands twice"),
        (JSONL, b"{\"a\":\"x\ty\"}\n", "line 1: control character"),
        (JSONL, b"{}\n{\"a\":\"\xFF\"}\n", "line 2: byte 7 of the line is not UTF-8"),
    ];
    for (format, content, wanted) in cases {
        for step in [1, usize::MAX] {
            let bench = Bench::new();
            let input = Slowly { input: Cursor::new(content.to_vec()), step };
            let error = bench.spool_reader(format, input).expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{error:?} is not {wanted:?}");
            assert!(!error.contains('\n'), "{error:?}");
            assert!(bench.names().is_empty(), "{wanted}: {:?}", bench.names());
        }
    }
}

#[test]
fn limits_hold_to_the_byte() {
    let long = |bytes: usize| "x".repeat(bytes);
    let header = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    let keys = |count: usize| (0..count).map(|n| format!("{{\"c{n}\":1}}\n")).collect::<String>();
    let nested = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels));
    let value = limits::VALUE_BYTES_MAX;
    let columns = limits::TABLE_COLUMNS_MAX;
    let depth = limits::JSON_DEPTH_MAX;
    let cell = "the cell in column 2 is over the limit of 1048576 bytes; shorten it";
    let row = "the row is over the limit of 4194304 bytes";
    // Each pair stands on both sides of one limit.
    let cases: Vec<(Option<Format>, String, Option<&str>)> = vec![
        (CSV, format!("a,b\n1,{}\n", long(value)), None),
        (CSV, format!("a,b\n1,{}\n", long(value + 1)), Some(cell)),
        (CSV, format!("a,b\n1,\"{}\"\"\"\n", long(value - 1)), None),
        (CSV, format!("a,b\n1,\"{}\"\"\"\n", long(value)), Some(cell)),
        (CSV, format!("a,b,c,d\n{0},{0},{0},{1}\n", long(value), long(value - 3)), None),
        (CSV, format!("a,b,c,d\n{0},{0},{0},{1}\n", long(value), long(value - 2)), Some(row)),
        (CSV, header(columns), None),
        (CSV, header(columns + 1), Some("more than 1900 columns")),
        (CSV, long(COLUMN_NAME_BYTES_MAX), None),
        (CSV, long(COLUMN_NAME_BYTES_MAX + 1), Some("the name of column 1 is over 4096 bytes")),
        (JSONL, format!("{{\"a\":\"{}\"}}", long(value - 2)), None),
        (JSONL, format!("{{\"a\":\"{}\"}}", long(value - 1)), Some("the value of \"a\" is over")),
        (JSONL, format!("{{\"a\":1{}}}", " ".repeat(ROW_BYTES_MAX - 7)), None),
        (JSONL, format!("{{\"a\":1{}}}", " ".repeat(ROW_BYTES_MAX - 6)), Some(row)),
        // The limit falls inside a character of two bytes, which is not what is wrong.
        (JSONL, format!("{{\"ab\":\"{}", "é".repeat(ROW_BYTES_MAX)), Some(row)),
        (JSONL, keys(columns), None),
        (JSONL, keys(columns + 1), Some("line 1901: more than 1900 columns")),
        (JSONL, format!("{{\"{}\":1}}", long(COLUMN_NAME_BYTES_MAX + 1)), Some("over 4096 bytes")),
        (JSONL, nested(depth), None),
        (JSONL, nested(depth + 1), Some("line 1: nested deeper than 64 levels")),
        (JSONL, nested(100_000), Some("line 1: nested deeper than 64 levels")),
    ];
    for (format, content, wanted) in cases {
        let begin: String = content.chars().take(60).collect();
        let bench = Bench::new();
        match (bench.spool(format, content.as_bytes()), wanted) {
            (Ok(_), None) => {}
            (Err(error), Some(wanted)) => {
                assert!(error.to_string().contains(wanted), "{begin}: {error}");
                assert!(bench.names().is_empty(), "{begin}");
            }
            (result, wanted) => panic!("{begin}: {wanted:?}, not {:?}", result.map(|_| ())),
        }
    }
}

#[test]
fn what_the_check_lets_pass_fits_in_a_json_column() {
    // Short to write, long to spell out: 1e15 becomes 1000000000000000.0.
    let numbers = vec!["1e15"; limits::VALUE_BYTES_MAX / 19 + 1].join(",");
    let error = Bench::new().spool(JSONL, format!("{{\"a\":[{numbers}]}}").as_bytes());
    assert!(error.unwrap_err().to_string().contains("the value of \"a\" is over"));
}

/// Repeats `unit` for ever after `head`, and counts what was taken.
struct Endless {
    head: Cursor<&'static [u8]>,
    unit: u8,
    taken: Arc<AtomicUsize>,
}

impl Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.head.read(buffer)?;
        if bytes == 0 {
            buffer.fill(self.unit);
            bytes = buffer.len();
        }
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        Ok(bytes)
    }
}

#[test]
fn what_never_ends_is_refused_soon_and_not_kept() {
    let cases: [(Option<Format>, &'static [u8], u8, &str); 10] = [
        (CSV, b"a,b\n1,", b'x', "line 2: the cell in column 2 is over"),
        (CSV, b"a,b\n1,\"", b'x', "or close its double quote"),
        (CSV, b"a,b\n1,\"", b'\n', "line 2: the cell in column 2 is over"),
        (CSV, b"a\n\"", b'"', "line 2: the cell in column 1 is over"),
        (CSV, b"", b'x', "line 1: the cell in column 1 is over"),
        (CSV, b"a,b\n", b',', "line 2: the row is over"),
        (None, b"", b'{', "line 1: the row is over"),
        (JSONL, b"{\"a\":\"", b'x', "line 1: the row is over"),
        (JSONL, b"{}\n", b' ', "line 2: the row is over"),
        (JSONL, b"{}\n{\"a\":", b'\x80', "line 2: byte 6 of the line is not UTF-8"),
    ];
    for (format, head, unit, wanted) in cases {
        let bench = Bench::new();
        let taken = Arc::new(AtomicUsize::new(0));
        let input = Endless { head: Cursor::new(head), unit, taken: Arc::clone(&taken) };
        let error = bench.spool_reader(format, input).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error:?} is not {wanted:?}");
        let taken = taken.load(Ordering::Relaxed);
        assert!(taken <= ROW_BYTES_MAX + 2 * BLOCK_BYTES, "{wanted}: read {taken} bytes");
        assert!(bench.names().is_empty(), "{wanted}");
    }
}

/// Fails once it has given everything.
struct Failing(Cursor<&'static [u8]>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the cable is out")),
            bytes => Ok(bytes),
        }
    }
}

#[test]
fn a_reader_that_fails_is_named_with_its_line() {
    let cases: [(Option<Format>, &'static [u8], &str); 4] = [
        (CSV, b"a,b\n1,2\n3,", "in, line 3: reading failed: the cable is out"),
        (CSV, b"a,b\n1,\"x\ny", "in, line 3: reading failed: the cable is out"),
        (JSONL, b"{}\n{\"a\"", "in, line 2: reading failed: the cable is out"),
        (None, b"", "in, line 1: reading failed: the cable is out"),
    ];
    for (format, content, wanted) in cases {
        let bench = Bench::new();
        let error = bench.spool_reader(format, Failing(Cursor::new(content))).unwrap_err();
        assert_eq!(error.to_string(), wanted);
        assert!(bench.names().is_empty());
    }
}

#[test]
fn errors_hold_little_of_what_is_in_the_file() {
    let secret = "s".repeat(1_000);
    let contents = [
        (CSV, format!("{secret},{secret}\n")),
        (JSONL, format!("{{\"{secret}\":1,\"{secret}\":2}}")),
        (JSONL, format!("{{\"a\":{secret}}}")),
        (JSONL, format!("\"{secret}\"")),
        (JSONL, format!("{{\"{secret}\":\"{}\"}}", "x".repeat(limits::VALUE_BYTES_MAX))),
    ];
    for (format, content) in contents {
        let error = Bench::new().spool(format, content.as_bytes()).unwrap_err().to_string();
        assert!(!error.contains(&secret[..41]), "{error}");
    }
}

#[test]
fn a_source_is_opened_by_name() {
    let bench = Bench::new();
    fs::write(bench.path("a.csv"), "a\n1\n").unwrap();
    fs::write(bench.path("a.txt"), "a\n1\n").unwrap();
    fs::create_dir(bench.path("folder.csv")).unwrap();
    let open = |name: &str| Source::open(&bench.path(name)).map_err(|error| error.to_string());

    let spooled = spool(open("a.csv").unwrap(), &bench.path("spool")).unwrap();
    assert_eq!(open("a.csv").unwrap().fingerprint().unwrap(), spooled.fingerprint);
    fs::write(bench.path("a.csv"), "\u{feff}a\n1\n").unwrap();
    assert_eq!(open("a.csv").unwrap().fingerprint().unwrap(), spooled.fingerprint);
    fs::write(bench.path("a.csv"), "a\n2\n").unwrap();
    assert_ne!(open("a.csv").unwrap().fingerprint().unwrap(), spooled.fingerprint);

    for (name, wanted) in [
        ("none.csv", "cannot open"),
        ("folder.csv", "is a directory"),
        ("a.txt", "should end in .csv, .tsv, .jsonl or .ndjson"),
    ] {
        let error = open(name).unwrap_err();
        assert!(error.contains(wanted) && error.contains(name), "{error}");
    }
}

#[test]
fn a_copy_that_cannot_be_kept_says_where() {
    let bench = Bench::new();
    let source = Source::reader("in", CSV, Cursor::new("a\n"));
    let error = spool(source, &bench.path("none/spool")).unwrap_err();
    assert!(matches!(error, InputError::Keep { .. }), "{error}");
    assert!(error.to_string().contains("none/spool"), "{error}");
}

fn text(content: &str) -> Value {
    Value::Text(content.to_owned())
}

#[test]
fn batches_hold_the_columns_asked_for() {
    let bench = Bench::new();
    let csv = "a,b,c\n1,\"x\ny\",\n,\"\",3\n4,\"\"\"\",6\n";
    let spooled = bench.spool(CSV, csv.as_bytes()).unwrap();
    let batches: Vec<_> = spooled.batches(&[2, 1], 2).unwrap().map(Result::unwrap).collect();
    let first = vec![vec![Value::Null, text("x\ny")], vec![text("3"), Value::Null]];
    assert_eq!(batches, [first, vec![vec![text("6"), text("\"")]]]);

    let jsonl = "{\"a\":1.50,\"b\":{\"x\":[1]}}\n\n{\"c\":\"é\",\"a\":null}\n";
    let spooled = bench.spool(JSONL, jsonl.as_bytes()).unwrap();
    let batches: Vec<_> = spooled.batches(&[0, 1, 2, 0], 10).unwrap().map(Result::unwrap).collect();
    let one = Value::Json(json!(1.5));
    let nested = Value::Json(json!({"x": [1]}));
    let first = vec![one.clone(), nested, Value::Null, one];
    let second = vec![Value::Null, Value::Null, Value::Json(json!("é")), Value::Null];
    assert_eq!(batches, [vec![first, second]]);
}

#[test]
fn a_batch_is_short_where_cells_are_long() {
    let bench = Bench::new();
    let cell = "x".repeat(limits::VALUE_BYTES_MAX);
    let csv = format!("a\n{}", format!("{cell}\n").repeat(10));
    let spooled = bench.spool(CSV, csv.as_bytes()).unwrap();
    let sizes: Vec<_> =
        spooled.batches(&[0], 1_000).unwrap().map(|batch| batch.unwrap().len()).collect();
    assert_eq!(sizes, [4, 4, 2]);
}

#[test]
fn a_copy_that_was_changed_is_noticed() {
    let bench = Bench::new();
    let spooled = bench.spool(CSV, b"a,b\n1,2\n3,4\n").unwrap();
    for (content, wanted) in [
        ("a,b\n1,2\n", "the 2 rows that were written to it but 1"),
        ("a,b\n1,2\n3,4\n5,6\n", "the 2 rows that were written to it but 3"),
        ("a,b\n1,2\n3,\"4\n", "line 3: a quoted field begins here"),
    ] {
        fs::write(&spooled.path, content).unwrap();
        let batches: Vec<_> = spooled.batches(&[0], 1).unwrap().collect();
        let (last, before) = batches.split_last().unwrap();
        assert!(before.iter().all(Result::is_ok));
        let error = last.as_ref().unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        let cells = vec![Value::Null; content.lines().count() - 1];
        let error = written(&spooled, Format::Csv, "c", &cells).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    fs::remove_file(&spooled.path).unwrap();
    assert!(spooled.check_kept().unwrap_err().to_string().contains("the kept copy of in"));
    assert!(spooled.batches(&[0], 1).is_err());
}

#[test]
fn what_was_spooled_can_be_reopened_later() {
    let bench = Bench::new();
    let spooled = bench.spool(JSONL, b"{\"a\":1}\n").unwrap();
    let stored = serde_json::to_string(&spooled).unwrap();
    let reopened: Spooled = serde_json::from_str(&stored).unwrap();
    assert_eq!(reopened, spooled);
    assert_eq!(reopened.batches(&[0], 1).unwrap().count(), 1);
}
