//! Bytes per key after one call each: how much the resident memory of a fresh process grows, over the number of keys.
//!
//! The keys are made on the way and dropped again, so what is counted is what a limiter keeps, its own copy of the key
//! included. Each is measured in a process of its own: freed memory of one would hide the next one's need.

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::process::Command;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use paceline_clock::Clock;
use paceline_governor::{Budget, BudgetConfig, Keyed, Outcome, OutcomeClass};

use crate::Failure;
use crate::cost::{KEYS, key};

/// A `Budget` per key takes far more than a keyed type will; fewer of them tell as much.
const BUDGETS: usize = 100_000;

/// What can be measured: its word on the command line, and what it is.
const ALL: &[(&str, &str)] = &[
    ("bare", "a `HashMap<String, ()>` of the same keys: the floor"),
    ("governor", "governor: keyed, one window"),
    ("governors", "governor: two keyed limiters for two windows"),
    ("budgets", "ours: a `HashMap<String, Budget>`, two windows, one whole call each"),
    ("keyed", "ours: `Keyed<String>`, two windows, one whole call each"),
];

pub(crate) fn print_table() -> Result<(), Failure> {
    println!("| what | keys | bytes per key, the key's own copy included |\n|---|--:|--:|");
    for (word, what) in ALL {
        let output = Command::new(std::env::current_exe()?).args(["memory", word]).output()?;
        if !output.status.success() {
            return Err(format!("{word}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        println!("| {what} | {} |", String::from_utf8_lossy(&output.stdout).trim());
    }
    println!();
    Ok(())
}

pub(crate) fn print_one(word: &str) -> Result<(), Failure> {
    let (keys, bytes) = match word {
        "bare" => grown(KEYS, || (0..KEYS).map(|n| (key(n), ())).collect::<HashMap<_, _>>())?,
        "governor" => grown(KEYS, || vec![governor()])?,
        "governors" => grown(KEYS, || vec![governor(), governor()])?,
        "budgets" => grown(BUDGETS, budgets)?,
        "keyed" => grown(KEYS, keyed)?,
        other => return Err(format!("nothing to measure is called {other:?}").into()),
    };
    println!("{keys} | {:.0}", bytes as f64 / keys as f64);
    Ok(())
}

/// How many bytes what `build` answers keeps resident.
fn grown<T>(keys: usize, build: impl FnOnce() -> T) -> Result<(usize, u64), Failure> {
    let before = resident_bytes()?;
    let kept = build();
    let after = resident_bytes()?;
    black_box(&kept);
    Ok((keys, after.saturating_sub(before)))
}

fn resident_bytes() -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}

fn governor() -> DefaultKeyedRateLimiter<String> {
    let limiter = RateLimiter::keyed(Quota::per_minute(NonZeroU32::MIN));
    (0..KEYS).for_each(|number| assert!(limiter.check_key(&key(number)).is_ok()));
    limiter
}

/// The limits of the keys of ours.
fn config() -> BudgetConfig {
    BudgetConfig::new(["20/min", "60/h"].iter().filter_map(|limit| limit.parse().ok()))
}

fn budgets() -> HashMap<String, Budget> {
    let clock = Clock::system();
    let budget = |number| {
        let budget = Budget::new(config(), clock.clone()).ok()?;
        let mut permit = budget.try_acquire().ok()?;
        permit.sent();
        permit.seen();
        permit.finish(&Outcome::of(OutcomeClass::Success));
        Some((key(number), budget))
    };
    let budgets: HashMap<String, Budget> = (0..BUDGETS).filter_map(budget).collect();
    assert_eq!(budgets.len(), BUDGETS);
    budgets
}

fn keyed() -> Option<Keyed<String>> {
    let keyed = Keyed::<String>::new(config(), Clock::system()).ok()?;
    for number in 0..KEYS {
        let mut permit = keyed.budget(&key(number)).ok()?.try_acquire().ok()?;
        permit.sent();
        permit.seen();
        permit.finish(&Outcome::of(OutcomeClass::Success));
    }
    assert_eq!(keyed.len(), KEYS);
    Some(keyed)
}
