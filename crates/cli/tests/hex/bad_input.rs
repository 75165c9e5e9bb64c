//! What is wrong is said in one line with its place, before anything is called and without a trace on the disk.

use crate::support::{Bench, hex, project};

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_jobs() {
    let one = project(1);
    let cases: Vec<(&str, String, &[&str])> = vec![
        (
            "a.csv",
            "project,x\na,b\n".into(),
            &["no column project_id", "did you mean \"project\"?"],
        ),
        ("a.csv", "projectId,x\na,b\n".into(), &["did you mean \"projectId\"?"]),
        ("a.csv", "project_di,x\na,b\n".into(), &["did you mean \"project_di\"?"]),
        ("a.csv", "x,y\na,b\n".into(), &["no column project_id"]),
        ("a.csv", "project_id,status\na,b\n".into(), &["column status", "rename"]),
        ("a.csv", "project_id,params.day\na,b\n".into(), &["did you mean param.day?"]),
        ("a.csv", "project_id,inputParams\na,b\n".into(), &["did you mean params"]),
        ("a.csv", "project_id,param.day:nubmer\na,b\n".into(), &["did you mean number?"]),
        ("a.csv", "project_id,param.:number\na,b\n".into(), &["no name"]),
        ("a.csv", "project_id,param.a,param.a:number\na,b,1\n".into(), &["\"a\" has two columns"]),
        ("a.csv", format!("project_id\n{one}\n\"\"\n"), &["a.csv, line 3", "project_id is empty"]),
        ("a.csv", format!("project_id\n{one}\na b\n"), &["a.csv, line 3", "one word"]),
        ("a.csv", "project_id\n..\n".into(), &["a.csv, line 2", "path"]),
        ("a.csv", "project_id,n\n\"x\",\"a\nb\"\na b,c\n".into(), &["a.csv, line 4"]),
        (
            "a.csv",
            "project_id,params\np,[1]\n".into(),
            &["a.csv, line 2", "params must be a JSON object"],
        ),
        ("a.csv", "project_id,params\np,{\n".into(), &["a.csv, line 2", "JSON"]),
        (
            "a.csv",
            "project_id,param.n:number\np,1\np,x\n".into(),
            &["a.csv, line 3", "param.n", "no number"],
        ),
        (
            "a.csv",
            "project_id,param.b:bool\np,yes\n".into(),
            &["a.csv, line 2", "neither true nor false"],
        ),
        ("a.csv", "project_id,param.j:json\np,{a}\n".into(), &["a.csv, line 2", "not JSON"]),
        (
            "a.csv",
            "project_id,params,param.a\np,\"{\"\"a\"\":1}\",2\n".into(),
            &["line 2", "given twice"],
        ),
        ("a.jsonl", "{\"project_id\":7}\n".into(), &["a.jsonl, line 1", "must be text"]),
        ("a.jsonl", "{\"project_id\":\"p\",\"params\":\"x\"}\n".into(), &["line 1", "JSON object"]),
        (
            "a.jsonl",
            "{\"project_id\":\"p\",\"param.n:number\":true}\n".into(),
            &["line 1", "another type"],
        ),
        ("a.csv", "project_id,x\np\n".into(), &["a.csv, line 2", "1 field"]),
        ("a.txt", "project_id\np\n".into(), &["a.txt", ".csv"]),
    ];
    for (name, content, parts) in cases {
        let bench = Bench::new(hex("50")).await;
        bench.write(name, &content);
        refused(&bench, &["batch", name, "-o", "out.csv"], parts).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_make_no_sense() {
    let cases: Vec<(&[&str], &[&str])> = vec![
        (&["batch", "nowhere.csv"], &["nowhere.csv"]),
        (&["batch", "jobs.csv", "-o", "out.xlsx"], &["out.xlsx", ".csv"]),
        (&["batch", "jobs.csv", "-o", "jobs.csv"], &["OUT is FILE itself"]),
        (&["batch", "jobs.csv", "-o", "no/such/out.csv"], &["no/such", "does not exist"]),
        (&["batch", "jobs.csv", "--param", "a"], &["--param a", "NAME=VALUE"]),
        (&["batch", "jobs.csv", "--settle", "x"], &["--settle x", "LINE=RUN_ID"]),
        (&["batch", "jobs.csv", "--concurrency", "0"], &["--concurrency"]),
        (&["batch", "jobs.csv", "--limit", "20/fortnight"], &["20/fortnight"]),
        (&["batch", "jobs.csv", "--min-spacing", "5"], &["--min-spacing", "500ms"]),
        (&["batch", "jobs.csv", "--resume", "--restart"], &["--resume", "--restart"]),
        (&["batch", "jobs.csv", "--on-conflict", "ignore"], &["--on-conflict", "wait, attach"]),
        (&["batch", "jobs.csv", "--stuck-after", "30h"], &["--stuck-after"]),
        (&["batch", "jobs.csv", "--account", "a/b"], &["--account"]),
        (&["run", "a b"], &["one word"]),
        (&["run", "p", "--param", "n:number=x"], &["--param", "no number"]),
    ];
    for (args, parts) in cases {
        let bench = Bench::with_jobs(hex("50"), 2).await;
        // A state that is given is no default one.
        let plain = args.contains(&"--account");
        match plain {
            true => {
                let args: Vec<&str> = args.iter().copied().chain(["--allow-private"]).collect();
                let token = Some(crate::support::TOKEN);
                complained(&bench.start_plain(&args, token).ended().await.exits(2), parts);
            }
            false => refused(&bench, args, parts).await,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_not_called() {
    let bench = Bench::with_jobs(hex("50"), 1).await;
    let cases: [(&[&str], &[&str]); 5] = [
        (&[], &["HEX_BASE_URL", "127.0.0.1", "--allow-private"]),
        (&["--base-url", "http://example.com"], &["--base-url", "plain text", "https"]),
        (&["--base-url", "ftp://example.com"], &["--base-url", "ftp"]),
        (&["--base-url", "example.com"], &["--base-url"]),
        (&["--base-url", "https://10.0.0.1"], &["10.0.0.1", "private"]),
    ];
    for (flags, parts) in cases {
        for command in [&["list"][..], &["batch", "jobs.csv"]] {
            let args: Vec<&str> = command.iter().chain(flags).copied().collect();
            let token = Some(crate::support::TOKEN);
            complained(&bench.start_plain(&args, token).ended().await.exits(2), parts);
        }
    }
    assert_eq!(bench.names(), ["jobs.csv"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_somebody_else_is_no_state() {
    let bench = Bench::with_jobs(hex("50"), 1).await;
    std::fs::create_dir(bench.path("state")).unwrap();
    bench.write("state/thesis.txt", "mine");
    bench.batch(&[]).await.exits(2).told("is no state of ours");
    assert_eq!(bench.read("state/thesis.txt"), "mine");
    assert_eq!(bench.lab.hex().stats().overall.accepted, 0);
}

async fn refused(bench: &Bench, args: &[&str], parts: &[&str]) {
    let before = bench.names();
    complained(&bench.run(args).await.exits(2), parts);
    assert_eq!(bench.names(), before, "something was left behind by {args:?}");
    assert_eq!(bench.lab.hex().stats().overall.accepted, 0);
}

#[track_caller]
fn complained(ended: &crate::process::Ended, parts: &[&str]) {
    let line = ended.complaint();
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in: {line}");
    }
    assert_eq!(ended.stdout, "");
}
