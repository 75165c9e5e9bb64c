//! How well limits are kept, in real time over sockets: `cargo bench -p paceline-cli --bench limits`. Takes ten minutes.
//!
//! The bound is what limiter-theory.md allows at that strictness, worked out by playing the schedule with the same law
//! of delays: each call holds one slot of every window from its start until its reply's head and one window more.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod support;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use paceline_clock::Random;
use support::{LabProcess, Outcome, airports, enrich};

const POLICIES: [&str; 5] = ["fixed", "first_call", "log", "log_counting", "bucket"];

/// One line of the acceptance table.
struct Case {
    name: &'static str,
    rows: usize,
    limits: &'static [(&'static str, u32, f64)],
    net_ms: (f64, f64),
    service_ms: (f64, f64),
    strict: bool,
}

const CASES: [Case; 3] = [
    Case {
        name: "strict guard, net 20..400 ms, 500/5s",
        rows: 3_376,
        limits: &[("500/5s", 500, 5.0)],
        net_ms: (20.0, 400.0),
        service_ms: (0.0, 0.0),
        strict: true,
    },
    Case {
        name: "strict guard, net 20..400 ms, 20/s + 100/10s",
        rows: 300,
        limits: &[("20/s", 20, 1.0), ("100/10s", 100, 10.0)],
        net_ms: (20.0, 400.0),
        service_ms: (0.0, 0.0),
        strict: true,
    },
    Case {
        name: "default guard, net 1..15 ms, service 20..400 ms, 200/s",
        rows: 3_376,
        limits: &[("200/s", 200, 1.0)],
        net_ms: (1.0, 15.0),
        service_ms: (20.0, 400.0),
        strict: false,
    },
];

fn main() -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    println!(
        "| case | policy | rows | refused | elapsed s | bound s | elapsed/bound | utilisation | MB |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|--:|");
    for case in &CASES {
        let input = airports(dir.path(), case.rows)?;
        let bound = bound_s(case);
        for policy in POLICIES {
            let net = format!("{}..{}", case.net_ms.0, case.net_ms.1);
            let service = format!("{}..{}", case.service_ms.0, case.service_ms.1);
            let mut lab_args = vec!["--policy", policy, "--net-ms", &net];
            if case.service_ms.1 > 0.0 {
                lab_args.extend(["--service-ms", &service]);
            }
            let limits = case.limits.iter().flat_map(|(limit, ..)| ["--limit", limit]);
            lab_args.extend(limits.clone());
            let lab = LabProcess::start(&lab_args)?;
            // The bound is that of shape burst; what shape auto costs at the start is not the guard's.
            let mut args = vec!["--concurrency", "1024", "--shape", "burst"];
            args.extend(limits);
            if case.strict {
                args.extend(["--guard", "strict"]);
            }
            let done = enrich(&input, &lab.url, &args)?;
            let elapsed = done.number("elapsed_ms") / 1e3;
            println!(
                "| {} | {policy} | {} | {} | {elapsed:.2} | {bound:.2} | {:.3} | {:.3} | {:.0} |",
                case.name,
                case.rows,
                done.report["throttled"],
                elapsed / bound,
                done.number("utilisation"),
                done.memory_bytes as f64 / 1e6,
            );
        }
    }
    Ok(())
}

/// When the last reply comes at the earliest under this case's strictness, the mean of 20 seeds.
fn bound_s(case: &Case) -> f64 {
    const SEEDS: u64 = 20;
    (0..SEEDS).map(|seed| play(case, &Random::seeded(seed))).sum::<f64>() / SEEDS as f64
}

fn play(case: &Case, random: &Random) -> f64 {
    let draw = |(low, high): (f64, f64)| (low + random.unit() * (high - low)) / 1e3;
    let mut slots: Vec<(BinaryHeap<Reverse<u64>>, f64)> = case
        .limits
        .iter()
        .map(|(_, count, window)| ((0..*count).map(|_| Reverse(0)).collect(), *window))
        .collect();
    let (mut start, mut end) = (0.0_f64, 0.0_f64);
    for _ in 0..case.rows {
        for (heap, _) in &slots {
            if let Some(Reverse(free)) = heap.peek() {
                start = start.max(*free as f64 / 1e9);
            }
        }
        let seen = start + draw(case.net_ms) + draw(case.service_ms) + draw(case.net_ms);
        let counted = if case.strict { seen } else { start };
        for (heap, window) in &mut slots {
            heap.pop();
            heap.push(Reverse(((counted + *window) * 1e9) as u64));
        }
        end = end.max(seen);
    }
    end
}
