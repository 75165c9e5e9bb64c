//! What is wrong is said in one line, before anything is called and without a trace on the disk.

use std::collections::BTreeMap;

use paceline_lab::VendorConfig;
use tokio::io::AsyncWriteExt;

use crate::process::Ended;
use crate::support::{Bench, Enrich, airports, lab};

/// A request that is right, to a vendor that is not there: nothing here may come so far as to call it.
fn right() -> Enrich {
    let url = "http://127.0.0.1:9/geo/nearest?lat={{latitude}}&lon={{longitude}}";
    Enrich::of("airports.csv", "out.csv", url)
}

/// Runs what must be refused, and checks that the folder is as it was.
#[track_caller]
fn assert_refused(ended: Ended, bench: &Bench, before: &[String], parts: &[&str]) {
    let ended = ended.exits(2);
    let line = ended.complaint();
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
    assert_eq!(ended.stdout, "");
    assert_eq!(bench.names(), before, "something was left behind by: {line}");
}

async fn refused(bench: &Bench, request: &Enrich, parts: &[&str]) {
    let before = bench.names();
    assert_refused(bench.enrich(request).await, bench, &before, parts);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_read() {
    let cases: [(&str, &[u8], &[&str]); 12] = [
        ("empty.csv", b"", &["empty.csv", "nothing in it"]),
        ("empty.jsonl", b"\n\n", &["empty.jsonl", "nothing in it"]),
        (
            "twice.csv",
            b"latitude,longitude,latitude\n1,2,3\n",
            &["twice.csv, line 1", "\"latitude\" twice", "1 and 3"],
        ),
        (
            "ragged.csv",
            b"latitude,longitude\n1,2\n\"a\nb\",2\n1,2,3\n",
            &["ragged.csv, line 5", "3 fields where the header has 2"],
        ),
        ("open.csv", b"latitude,longitude\n1,\"2\n3,4\n", &["open.csv, line 2", "never ends"]),
        ("latin1.csv", b"latitude,longitude\n1,M\xFCnchen\n", &["line 2", "byte 4", "UTF-8"]),
        ("utf16.csv", b"\xFF\xFEl\0a\0", &["UTF-16"]),
        ("blank.csv", b"latitude,,longitude\n1,2,3\n", &["line 1", "column 2", "no name"]),
        ("half.jsonl", b"{\"latitude\":1}\n{\"latitude\":\n", &["half.jsonl, line 2"]),
        ("list.jsonl", b"[1,2]\n", &["list.jsonl, line 1", "one object per line"]),
        ("key.jsonl", b"{\"a\":1,\"a\":2}\n", &["line 1", "\"a\" stands twice"]),
        ("table.txt", b"latitude,longitude\n1,2\n", &["table.txt", ".csv"]),
    ];
    for (name, content, parts) in cases {
        let bench = Bench::new();
        bench.write(name, content);
        refused(&bench, &Enrich { input: name.to_owned(), ..right() }, parts).await;
    }
    let bench = Bench::new();
    refused(&bench, &right(), &["cannot open airports.csv"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense() {
    let url = |url: &str| Enrich { url: url.to_owned(), ..right() };
    let column = |column: &str| Enrich { column: column.to_owned(), ..right() };
    let output = |output: &str| Enrich { output: output.to_owned(), ..right() };
    let cases: Vec<(Enrich, &[&str])> = vec![
        (
            url("http://127.0.0.1:9/?q={{latitud}}"),
            &["--url: template: there is no column \"latitud\"", "did you mean \"latitude\"?"],
        ),
        (url("http://127.0.0.1:9/?q={{latitude"), &["--url: template, character"]),
        (url("127.0.0.1:9/x"), &["URL"]),
        (url("ftp://example.com/{{iata}}"), &["ftp"]),
        (right().without("--allow-private"), &["127.0.0.1", "private", "--allow-private"]),
        (right().with(&["--extract", "$.["]), &["--extract: ", "JSONPath"]),
        (right().with(&["--method", "FETCH"]), &["--method: \"FETCH\"", "GET, POST"]),
        (right().with(&["--header", "no colon"]), &["--header number 1", "colon"]),
        (right().with(&["--header", "a b: c"]), &["--header a b: ", "not a header's name"]),
        (right().with(&["--header", "X-A: {{cty}}"]), &["--header x-a: ", "\"cty\"", "\"city\""]),
        (right().with(&["--body", "{{cty}}"]), &["--body: ", "\"cty\"", "\"city\""]),
        (right().with(&["--header", "X-A: 1", "--header", "x-a: 2"]), &["x-a", "twice"]),
        (column("city"), &["already has a column \"city\"", "city_2"]),
        (column(" "), &["--column"]),
        (output("out.xlsx"), &["out.xlsx", ".csv, .tsv or .jsonl"]),
        (output("out"), &["out", ".csv, .tsv or .jsonl"]),
        (output("no/such/out.csv"), &["no/such", "does not exist"]),
    ];
    for (request, parts) in cases {
        refused(&Bench::with_airports(3), &request, parts).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_that_are_not_accepted() {
    let misspelt = r#"{"requests_per_secnd":5,"max_concurrent":5,"retry_strategy":"fixed","max_retries":1,"retry_delay_ms":100,"cool_down_on_429":true}"#;
    let too_many = misspelt
        .replace("secnd", "second")
        .replace("\"max_concurrent\":5", "\"max_concurrent\":1025");
    let tokens = r#"{"limits":["60/min","90000 tokens/min"],"max_concurrent":5,"retry_strategy":"fixed","max_retries":1,"retry_delay_ms":100,"cool_down_on_429":true}"#;
    let cases: [(&[&str], &[&str]); 16] = [
        (&["--limit", "20/fortnight"], &["20/fortnight", "ms, s, min, h or d"]),
        (&["--limit", "90000 tokens/min"], &["90000 tokens/min", "limit the calls"]),
        (&["--rate", tokens], &["rate_limit.limits", "90000 tokens/min", "limit its calls"]),
        (&["--limit", "0/s"], &["0/s"]),
        (&["--limit", "20001/s"], &["20001/s", "10000"]),
        (&["--limit", "11/ms"], &["11/", "10000"]),
        (&["--rate", "agressive"], &["agressive", "did you mean", "aggressive"]),
        (&["--rate", misspelt], &["requests_per_secnd", "did you mean \"requests_per_second\"?"]),
        (&["--rate", &too_many], &["max_concurrent", "1025", "1024"]),
        (&["--rate", "{\"max_concurrent\""], &["--rate", "JSON"]),
        (&["--concurrency", "0"], &["--concurrency", "1..=1024"]),
        (&["--concurrency", "1025"], &["--concurrency", "1..=1024"]),
        (&["--timeout-ms", "0"], &["--timeout-ms"]),
        (&["--guard", "loose"], &["guard", "auto", "strict"]),
        (&["--shape", "round"], &["--shape", "burst"]),
        (&["--limits", "1/s"], &["--limits", "--limit"]),
    ];
    for (flags, parts) in cases {
        refused(&Bench::with_airports(3), &right().with(flags), parts).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_takes_no_output() {
    let bench = Bench::with_airports(3);
    std::fs::create_dir(bench.path("folder.csv")).unwrap();
    bench.write("kept.csv", "kept");
    let mut permissions = std::fs::metadata(bench.path("kept.csv")).unwrap().permissions();
    permissions.set_readonly(true);
    std::fs::set_permissions(bench.path("kept.csv"), permissions).unwrap();
    std::fs::create_dir(bench.path("mine.csv.paceline")).unwrap();
    bench.write("mine.csv.paceline/thesis.txt", "mine");
    for (output, parts) in [
        ("folder.csv", ["folder.csv", "it is a folder"]),
        ("kept.csv", ["kept.csv", "read-only"]),
        ("mine.csv", ["mine.csv.paceline", "in the way"]),
    ] {
        refused(&bench, &Enrich { output: output.to_owned(), ..right() }, &parts).await;
    }
    assert_eq!(bench.read("kept.csv"), "kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_missing_without_being_named() {
    let bench = Bench::with_airports(3);
    let cases: [(&[&str], &[&str]); 4] = [
        (&["enrich", "airports.csv"], &["--output", "--column", "--url"]),
        (&["enrich"], &["<IN>"]),
        (&["enrich", "airports.csv", "-o", "out.csv", "--column", "x"], &["--url"]),
        (&["enrch"], &["enrch", "enrich"]),
    ];
    for (args, parts) in cases {
        assert_refused(bench.run(args).await, &bench, &["airports.csv".to_owned()], parts);
    }
}

/// The largest cell is 1 MiB, so 2 GB of one are refused before much of it has been taken in: memory cannot grow with
/// what is never read.
#[tokio::test(flavor = "multi_thread")]
async fn a_cell_of_two_gigabytes_is_refused_after_its_first_megabytes() {
    for quote in ["", "\""] {
        let bench = Bench::new();
        let mut process = bench.start_piped(&Enrich { input: "-".to_owned(), ..right() });
        let mut stdin = process.stdin();
        let head = format!("latitude,longitude\n1,{quote}");
        stdin.write_all(head.as_bytes()).await.unwrap();
        let block = vec![b'7'; 64 * 1024];
        let mut taken = 0_u64;
        while taken < 2_000_000_000 && stdin.write_all(&block).await.is_ok() {
            taken += block.len() as u64;
        }
        assert!(taken < 4 << 20, "{taken} bytes were read");
        let parts = ["standard input, line 2", "column 2", "1048576"];
        assert_refused(process.ended().await, &bench, &[], &parts);
    }
}

/// The old state and the old output are worth hours: a slip in the next command must not cost them.
#[tokio::test(flavor = "multi_thread")]
async fn a_slip_in_a_later_command_costs_nothing_of_the_earlier_one() {
    let (bench, lab) = (Bench::with_airports(8), lab(VendorConfig::default()).await);
    let request = Enrich::nearest(&lab).with(&["--rate", "unlimited"]);
    bench.enrich(&request).await.exits(0);
    let kept = |bench: &Bench| -> BTreeMap<String, String> {
        bench
            .names()
            .iter()
            .filter(|name| name.ends_with(".csv"))
            .map(|name| (name.clone(), bench.read(name)))
            .collect()
    };
    let before = kept(&bench);
    let slips = [
        request.clone().with(&["--restart", "--limit", "1/fortnight"]),
        Enrich { input: "airport.csv".to_owned(), ..request.clone().with(&["--restart"]) },
        Enrich {
            url: format!("{}&q={{{{iatta}}}}", request.url),
            ..request.clone().with(&["--restart"])
        },
    ];
    for slip in slips {
        bench.enrich(&slip).await.exits(2).complaint();
    }
    assert_eq!(kept(&bench), before);
    bench.enrich(&request).await.exits(0).told("nothing was left to call");
    assert_eq!(
        (lab.stats().accepted, bench.read("out.csv").lines().count()),
        (8, airports(8).lines().count())
    );
}
