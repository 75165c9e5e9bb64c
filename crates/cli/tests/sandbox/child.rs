//! The limits that a child for functions has from the system: read from `/proc` while it is at work, and met by a script
//! for which the engine's own limits are set too high.

use std::process::Stdio;
use std::time::Duration;

use paceline_clock::Clock;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdout, Command};

use crate::watch;

const MIB: u64 = 1 << 20;

/// A child that is at work on a call.
async fn child(source: &str, timeout_ms: u64, memory_bytes: u64) -> (Child, ChildStdout) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_paceline"))
        .arg("sandbox-worker")
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let call = json!({"source": source, "row": {}, "timeout_ms": timeout_ms, "memory_bytes": memory_bytes});
    let call = call.to_string();
    let stdin = child.stdin.as_mut().unwrap();
    stdin.write_all(&u32::try_from(call.len()).unwrap().to_le_bytes()).await.unwrap();
    stdin.write_all(call.as_bytes()).await.unwrap();
    let stdout = child.stdout.take().unwrap();
    (child, stdout)
}

/// What it answers; `None` if it dies of the call.
async fn answer(stdout: &mut ChildStdout) -> Option<Json> {
    let mut head = [0; 4];
    stdout.read_exact(&mut head).await.ok()?;
    let mut body = vec![0; u32::from_le_bytes(head) as usize];
    stdout.read_exact(&mut body).await.unwrap();
    Some(serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_child_puts_limits_of_the_system_on_itself_before_it_runs_anything() {
    let (child, _stdout) = child("() => { while (true) {} }", 60_000, 64 * MIB).await;
    let (pid, clock) = (child.id().unwrap(), Clock::system());
    let began = clock.now();
    let limit = |name: &str| {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        (words[0].clone(), words[1].clone())
    };
    // The last one that it sets: from here on it is at the call.
    while limit("Max cpu time").0 == "unlimited" {
        assert!(clock.now() - began < Duration::from_secs(30), "it has no limits");
        clock.sleep(Duration::from_millis(5)).await;
    }
    let (seconds, _) = limit("Max cpu time");
    assert!((64..70).contains(&seconds.parse::<u64>().unwrap()), "{seconds} s for a call of 60 s");
    let zero = ("0".to_owned(), "0".to_owned());
    for name in ["Max core file size", "Max file size", "Max processes"] {
        assert_eq!(limit(name), zero, "{name}");
    }
    assert_eq!(limit("Max open files"), ("3".to_owned(), "3".to_owned()));
    let (soft, hard) = limit("Max address space");
    assert_eq!(soft, hard);
    assert!(soft.parse::<u64>().unwrap() < 4_096 * MIB, "{soft}");
    assert_eq!(watch::field(pid, "NoNewPrivs:").as_deref(), Some("1"));
}

#[tokio::test]
async fn the_system_stops_what_the_engine_s_own_limit_would_let_pass() {
    let bomb = "() => { const all = []; for (;;) all.push(new Array(1e5).fill(all.length)) }";
    let (child, mut stdout) = child(bomb, 60_000, 64 << 30).await;
    let pid = child.id().unwrap();
    let answer = answer(&mut stdout).await.expect("it lives and says what was wrong");
    assert_eq!(answer["outcome"]["Err"]["code"], "Memory", "{answer}");
    let peak = watch::peak(pid).unwrap();
    assert!(peak < 512 * MIB, "{} MiB", peak / MIB);
}
