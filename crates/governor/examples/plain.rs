//! Plain async code under a budget: 12 calls at 5 a second take two seconds. `cargo run -p paceline-governor --example plain`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use paceline_clock::Clock;
use paceline_governor::{Budget, BudgetConfig, Outcome, OutcomeClass};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = Clock::system();
    let budget =
        Budget::new(BudgetConfig::new(["5/s".parse()?, "60/min".parse()?]), clock.clone())?;
    let began = clock.now();
    for number in 1..=12 {
        let mut permit = budget.acquire().await?;
        permit.sent(); // just before the first byte leaves
        println!("call {number:2} at {:4} ms", (clock.now() - began).as_millis()); // your call
        permit.seen(); // as soon as the response's head is here
        permit.finish(&Outcome::of(OutcomeClass::Success));
    }
    Ok(())
}
