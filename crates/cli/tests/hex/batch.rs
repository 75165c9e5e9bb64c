//! A batch that goes well, and the file that comes of it.

use paceline_lab::HexConfig;

use crate::support::{Bench, TOKEN, hex, job_of, project};

#[tokio::test(flavor = "multi_thread")]
async fn every_job_runs_once_and_the_result_has_every_row_in_order() {
    let bench = Bench::with_jobs(hex("50..300"), 25).await;
    let ended = bench.batch(&[]).await.exits(0);
    bench.assert_each_once(&ended, 25);
    assert_eq!(
        (ended.count("total"), ended.count("completed"), ended.count("triggers")),
        (25, 25, 25)
    );
    ended.told("jobs         25 (25 completed)");

    let out = bench.read("jobs.runs.csv");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines[0],
        "project_id,param.job:number,note,run_id,status,elapsed_ms,run_url,trace_id,error"
    );
    for (job, line) in lines[1..].iter().enumerate() {
        let told = job_of(&ended, job as u64 + 2);
        let start = format!(
            "{},{job},note {job},{},COMPLETED,{},http",
            told["project_id"].as_str().unwrap(),
            told["run_id"].as_str().unwrap(),
            told["elapsed_ms"]
        );
        assert!(line.starts_with(&start), "{line} is not {start}");
    }
    assert_eq!(lines.len(), 26);
    bench.assert_no_token(&[&ended]);
    assert_eq!(bench.names(), ["jobs.csv", "jobs.runs.csv", "state"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_keep_their_types_and_empty_cells_are_not_sent() {
    let bench = Bench::new(hex("20")).await;
    let header = "project_id,params,param.n:number,param.b:bool,param.j:json,param.t,other\n";
    let (one, two) = (project(1), project(2));
    bench.write(
        "jobs.csv",
        format!(
            "{header}{one},\"{{\"\"day\"\":\"\"x\"\"}}\",1.5,TRUE,\"[1,null]\",007,skip\n{two},,,,,,\n"
        ),
    );
    bench.batch(&["--param", "t=from the flag", "--param", "more:number=3"]).await.exits(0);
    let runs = bench.lab.hex().stats().run_list;
    let params = |id: &str| {
        let run = runs.iter().find(|run| run.project_id == id).unwrap();
        run.input_params.clone().unwrap()
    };
    let wanted =
        serde_json::json!({"day": "x", "n": 1.5, "b": true, "j": [1, null], "t": "007", "more": 3});
    assert_eq!(params(&one), wanted);
    assert_eq!(params(&two), serde_json::json!({"t": "from the flag", "more": 3}));
}

#[tokio::test(flavor = "multi_thread")]
async fn jsonl_goes_in_and_out_and_through_a_pipe() {
    let bench = Bench::new(hex("20")).await;
    let row = |job: u32| {
        format!("{{\"project_id\":\"{}\",\"params\":{{\"job\":{job}}},\"n\":1.50}}\n", project(1))
    };
    bench.write("jobs.jsonl", format!("{}\n{}", row(0), row(1)));
    let ended = bench.run(&["batch", "jobs.jsonl", "-o", "-", "--limit", "100/s"]).await.exits(0);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        assert!(line.contains("\"n\":1.50,\"run_id\":\""), "{line}");
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&json["status"], &json["error"]),
            (&"COMPLETED".into(), &serde_json::Value::Null)
        );
    }
    assert_eq!(bench.starts().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_without_rows_is_a_batch_without_jobs() {
    let bench =
        Bench::new(HexConfig { tokens: vec![TOKEN.to_owned()], ..HexConfig::default() }).await;
    bench.write("jobs.csv", "project_id,x\n");
    let ended = bench.batch(&["--resume"]).await.exits(0);
    assert_eq!(ended.count("total"), 0);
    assert_eq!(bench.lab.hex().stats().overall.accepted, 0);
    assert!(bench.read("jobs.runs.csv").starts_with("project_id,x,run_id"));
    bench.batch(&[]).await.exits(0);
}
