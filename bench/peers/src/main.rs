//! Paceline's governor beside other people's limiters; `run` calls this one step after the other.
//!
//!   peers traces           asks the Rust peers, prints when each call left (JSON lines)
//!   peers judge FILE...    judges such traces, drives ours, prints the tables of 429s and ratios
//!   peers cost             prints the table of decision costs
//!   peers memory [WHAT]    prints the table of bytes per key; with WHAT measures one, in a process of its own

mod cost;
mod delays;
mod judge;
mod memory;
mod ours;
mod rust_peers;
mod sets;
mod tables;
mod trace;
mod zoo;

use std::error::Error;
use std::process::ExitCode;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["traces"] => rust_peers::print_traces(),
        ["judge", files @ ..] => tables::print_matrix(files),
        ["cost"] => cost::print_table(),
        ["memory"] => memory::print_table(),
        ["memory", what] => memory::print_one(what),
        _ => Err("usage: peers traces | judge FILE... | cost | memory [WHAT]".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}
