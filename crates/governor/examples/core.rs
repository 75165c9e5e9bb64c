//! The deciding core alone: no runtime, no clock and no waiting. Here a loop of its own jumps from slot to slot; an
//! embedder would sleep, or hand the moment to its own scheduler. `cargo run -p paceline-governor --example core`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use paceline_clock::Tick;
use paceline_governor::{BudgetConfig, Core, Outcome, OutcomeClass};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut core = Core::new(BudgetConfig::new(["20/min".parse()?, "60/h".parse()?]))?;
    let mut now = Tick::ZERO;
    let mut calls = 0;
    while calls < 61 {
        match core.admit(now) {
            Ok(slot) => {
                core.sent(slot, now);
                core.seen(slot, now);
                core.finish(slot, &Outcome::of(OutcomeClass::Success), now);
                calls += 1;
            }
            Err(refusal) => {
                println!(
                    "{calls} calls by {} s, then {:?}",
                    now.as_millis() / 1000,
                    refusal.reason
                );
                now = refusal.until.ok_or("only an answer would free a slot")?;
            }
        }
    }
    println!("{calls} calls by {} s", now.as_millis() / 1000);
    Ok(())
}
