//! What is written, byte for byte, and that it is written whole or not at all.

use serde_json::json;

use super::*;

fn text(content: &str) -> Value {
    Value::Text(content.to_owned())
}

#[test]
fn rows_come_out_as_they_went_in_with_one_more_column() {
    use Format::{Csv, Jsonl, Tsv};
    let object = || Value::Json(json!({"x": [1, "y"]}));
    let cases: [(Format, &str, Format, Vec<Value>, &str); 16] = [
        (Csv, "a,b\n1,2\n", Csv, vec![text("x")], "a,b,new\n1,2,x\n"),
        (Csv, "a,b\r\n1,\"2\"\r\n", Csv, vec![text("x,y")], "a,b,new\r\n1,\"2\",\"x,y\"\r\n"),
        (Csv, "a\r\n1", Csv, vec![Value::Null], "a,new\r\n1,\r\n"),
        (Csv, "a", Csv, vec![], "a,new\n"),
        (Csv, " a ,b\n\"x\"y,z\"\n", Csv, vec![text("\n")], " a ,b,new\n\"x\"y,z\",\"\n\"\n"),
        (Csv, "a\n\n\"\"\n", Csv, vec![object()], "a,new\n\"\",\"{\"\"x\"\":[1,\"\"y\"\"]}\"\n"),
        (Csv, "a,b\n\"1\t\",\"2,\"\n", Tsv, vec![Value::Int(3)], "a\tb\tnew\n\"1\t\"\t2,\t3\n"),
        (Tsv, "a\tb\n1,5\t\"x\"\n", Csv, vec![Value::Bool(true)], "a,b,new\n\"1,5\",x,true\n"),
        (
            Csv,
            "a, b\n1,\n",
            Jsonl,
            vec![object()],
            "{\"a\":\"1\",\"b\":null,\"new\":{\"x\":[1,\"y\"]}}\n",
        ),
        (
            Csv,
            "\"q\"\"\"\n\"\u{1}\"\n",
            Jsonl,
            vec![text("é")],
            "{\"q\\\"\":\"\\u0001\",\"new\":\"é\"}\n",
        ),
        (Csv, "a\n", Jsonl, vec![], ""),
        (
            Jsonl,
            "{\"b\":1.0e+2, \"a\" : 12345678901234567890123 } \r\n{}\n\n { }",
            Jsonl,
            vec![Value::Number(0.5), Value::Null, text("}")],
            "{\"b\":1.0e+2, \"a\" : 12345678901234567890123 ,\"new\":0.5} \r\n{\"new\":null}\n { \"new\":\"}\"}\n",
        ),
        (
            Jsonl,
            "{\"a\":1.50,\"b\":\"x,y\"}\n{\"c\":{\"z\": 1},\"b\":null}\n{\"a\":true,\"c\":\"\\u00e9\"}\n",
            Csv,
            vec![text("1"), object(), Value::Null],
            "a,b,c,new\n1.50,\"x,y\",,1\n,,\"{\"\"z\"\": 1}\",\"{\"\"x\"\":[1,\"\"y\"\"]}\"\ntrue,,é,\n",
        ),
        (Jsonl, "{\"a\":\"x\\ty\"}\n", Tsv, vec![text("z")], "a\tnew\n\"x\ty\"\tz\n"),
        (Jsonl, "{}\n{}\n", Csv, vec![Value::Null, text("x")], "new\n\"\"\nx\n"),
        (Jsonl, "{\"a\":1}\n", Csv, vec![Value::Json(json!("x"))], "a,new\n1,x\n"),
    ];
    for (format, content, out_format, cells, wanted) in cases {
        let bench = Bench::new();
        let spooled = bench.spool(Some(format), content.as_bytes()).unwrap();
        let bytes = written(&spooled, out_format, "new", &cells).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), wanted, "{content:?} as {out_format}");
    }
}

#[test]
fn a_new_column_needs_a_name_of_its_own() {
    let columns = ["a", "a_2", "", "b"].map(str::to_owned);
    assert!(check_new_column(&columns, "c").is_ok());
    assert!(check_new_column(&columns, "A").is_ok());
    for (name, wanted) in [
        ("a", "already has a column \"a\"; choose another, like --column a_3"),
        (" b ", "already has a column \"b\"; choose another, like --column b_2"),
        ("", "needs a name"),
        (" ", "needs a name"),
    ] {
        let error = check_new_column(&columns, name).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    let bench = Bench::new();
    let spooled = bench.spool(Some(Format::Csv), b"a\n1\n").unwrap();
    let error = written(&spooled, Format::Csv, "a", &[Value::Null]).unwrap_err();
    assert!(matches!(error, OutputError::Column(_)), "{error}");
}

#[test]
fn cells_and_rows_must_be_as_many_and_a_failure_changes_nothing() {
    let bench = Bench::new();
    let out = bench.path("out.csv");
    let spooled = bench.spool(Some(Format::Csv), b"a\n1\n2\n").unwrap();
    let cell = || Ok::<_, &str>(text("x"));
    for (cells, wanted) in [
        (vec![], "the cells ended after 0 of 2 rows"),
        (vec![cell()], "the cells ended after 1 of 2 rows"),
        (vec![cell(), cell(), cell()], "there are more cells than the 2 rows"),
        (vec![cell(), Err("the database is gone")], "the database is gone"),
    ] {
        for before in [None, Some("what was there")] {
            let _ = fs::remove_file(&out);
            before.iter().for_each(|content| fs::write(&out, content).unwrap());
            let path = Destination::Path(&out);
            let error =
                write_output(&spooled, path, Format::Csv, "new", cells.clone()).unwrap_err();
            assert!(error.to_string().contains(wanted), "{error}");
            assert_eq!(fs::read_to_string(&out).ok().as_deref(), before);
            let names = if before.is_some() { vec!["out.csv", "spool"] } else { vec!["spool"] };
            assert_eq!(bench.names(), names);
        }
    }
    let path = Destination::Path(&out);
    write_output(&spooled, path, Format::Csv, "new", [cell(), cell()]).unwrap();
    assert_eq!(fs::read_to_string(&out).unwrap(), "a,new\n1,x\n2,x\n");
    assert_eq!(bench.names(), ["out.csv", "spool"]);
}

/// Takes some bytes, then is full.
struct Full {
    room: usize,
    flushed: bool,
}

impl io::Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.flushed = false;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed = true;
        Ok(())
    }
}

#[test]
fn a_writer_that_fails_is_an_error_wherever_it_stops() {
    let bench = Bench::new();
    let spooled = bench.spool(Some(Format::Csv), b"a\n1\n").unwrap();
    let whole = "a,new\n1,x\n".len();
    for room in 0..=whole {
        let mut full = Full { room, flushed: false };
        let cells = [Ok::<_, Infallible>(text("x"))];
        let result =
            write_output(&spooled, Destination::Writer(&mut full), Format::Csv, "new", cells);
        match result {
            Ok(()) => assert!(room == whole && full.flushed),
            Err(error) => {
                assert!(room < whole);
                assert!(error.to_string().starts_with("cannot write the output: "), "{error}");
            }
        }
    }
}

#[test]
fn whether_a_place_takes_the_output_is_known_before() {
    let bench = Bench::new();
    fs::create_dir(bench.path("folder")).unwrap();
    fs::write(bench.path("old.csv"), "old").unwrap();
    fs::write(bench.path("locked.csv"), "locked").unwrap();
    let mut locked = fs::metadata(bench.path("locked.csv")).unwrap().permissions();
    locked.set_readonly(true);
    fs::set_permissions(bench.path("locked.csv"), locked).unwrap();
    let before = bench.names();
    let cases: [(&str, Option<&str>); 8] = [
        ("new.csv", None),
        ("old.csv", None),
        ("folder", Some("it is a folder")),
        ("new/", Some("it is a folder")),
        ("none/out.csv", Some("does not exist")),
        ("old.csv/out.csv", Some("cannot write")),
        ("locked.csv", Some("it is read-only")),
        (&"x".repeat(300), Some("cannot write")),
    ];
    for (name, wanted) in cases {
        match (check_writable(&bench.path(name)), wanted) {
            (Ok(()), None) => {}
            (Err(error), Some(wanted)) => assert!(error.to_string().contains(wanted), "{error}"),
            (result, wanted) => panic!("{name}: {wanted:?}, not {result:?}"),
        }
        assert_eq!(bench.names(), before, "{name}");
    }
    assert_eq!(fs::read_to_string(bench.path("old.csv")).unwrap(), "old");
    check_writable(Path::new("a-name-without-a-folder.csv")).unwrap();
}

#[cfg(unix)]
#[test]
fn permissions_and_links_stay_what_they_were() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let bench = Bench::new();
    let spooled = bench.spool(Some(Format::Csv), b"a\n1\n").unwrap();
    let write = |name: &str| {
        let path = bench.path(name);
        let cells = [Ok::<_, Infallible>(text("x"))];
        write_output(&spooled, Destination::Path(&path), Format::Csv, "new", cells).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a,new\n1,x\n");
    };
    let mode = |name: &str| fs::metadata(bench.path(name)).unwrap().permissions().mode();

    fs::write(bench.path("ordinary.csv"), "").unwrap();
    write("new.csv");
    assert_eq!(mode("new.csv"), mode("ordinary.csv"));

    fs::write(bench.path("private.csv"), "").unwrap();
    fs::set_permissions(bench.path("private.csv"), PermissionsExt::from_mode(0o600)).unwrap();
    write("private.csv");
    assert_eq!(mode("private.csv") & 0o777, 0o600);

    symlink("private.csv", bench.path("link.csv")).unwrap();
    fs::write(bench.path("private.csv"), "").unwrap();
    write("link.csv");
    assert!(fs::symlink_metadata(bench.path("link.csv")).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(bench.path("private.csv")).unwrap(), "a,new\n1,x\n");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_written_to_and_not_replaced() {
    let bench = Bench::new();
    let spooled = bench.spool(Some(Format::Csv), b"a\n1\n").unwrap();
    let pipe = bench.path("out.csv");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    check_writable(&pipe).unwrap();
    assert_eq!(bench.names(), ["out.csv", "spool"]);
    // Open at both ends, so that nobody waits for anybody.
    let mut ours = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let cells = [Ok::<_, Infallible>(text("x"))];
    write_output(&spooled, Destination::Path(&pipe), Format::Csv, "new", cells).unwrap();
    assert!(draft::is_device(&pipe));
    let mut read = [0; 10];
    ours.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"a,new\n1,x\n");
}
