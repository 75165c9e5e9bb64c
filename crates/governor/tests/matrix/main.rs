//! The zoo matrix: the real deciding core against every enforcer of the lab, in virtual time (issue 3, acceptance 1;
//! limiter-theory.md, "How the project's tests repeat this").
//!
//! ```text
//! cargo test --release -p paceline-governor --test matrix                      every demand, and that the page is true
//! cargo test --release -p paceline-governor --test matrix -- --nocapture table prints every row
//! cargo test --release -p paceline-governor --test matrix -- --nocapture table_1_per_second
//! cargo test --release -p paceline-governor --test matrix -- --ignored rewrite writes docs/matrix.md anew
//! ```
//!
//! `scenario` says what is tried, `drive` runs one case, `rows` runs whole rows of cases, each once however many tests
//! ask, `judge` holds the demands, `alarm` shows that they can fail, `print` has the tables, `page` the summary in the
//! crate's docs, `waiting` the spot check with real waiting tasks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod alarm;
mod drive;
mod judge;
mod page;
mod print;
mod rows;
mod scenario;
mod waiting;
