//! The matrix as tables.

use std::fmt::Write;

use paceline_governor::Guard;

use crate::rows::{Cell, Row, rows};
use crate::scenario::{Enforcement, LONG, SHORT, VENDORS, Vendor};

pub(crate) fn guard_name(guard: Guard) -> &'static str {
    match guard {
        Guard::Auto => "auto",
        Guard::Strict => "strict",
        Guard::Fixed(_) => "fixed",
    }
}

pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// What a cell says: refused calls of the worst run, and the worst utilisation.
fn cell_text(guard: Guard, cell: &Cell) -> String {
    if cell.endless > 0 {
        return format!("{} / never ends", cell.refused);
    }
    let utilisation = match guard {
        Guard::Strict => cell.of_bound,
        _ => cell.of_optimum,
    };
    format!("{} / {utilisation:.3}", cell.refused)
}

fn heading(out: &mut String, first: &[&str]) {
    let policies = Enforcement::ALL.map(Enforcement::name);
    let names: Vec<&str> = first.iter().copied().chain(policies).collect();
    writeln!(out, "| {} |\n|{}", names.join(" | "), "---|".repeat(names.len())).unwrap();
}

/// Every row of one vendor, for long jobs and then for short ones.
fn full_table(vendor: &'static Vendor) -> String {
    let rows = rows(|other, _, _, _| std::ptr::eq(other, vendor));
    let mut out = String::new();
    for size in [LONG, SHORT] {
        writeln!(out, "\n## {}, {} calls\n", vendor.name, vendor.calls[size]).unwrap();
        heading(&mut out, &["latency", "shape", "guard"]);
        for row in &rows {
            let Row { latency, shape, guard, .. } = row;
            let first = [latency.name(), shape.as_str(), guard_name(*guard)];
            let cells = row.cells(size).iter().map(|cell| cell_text(*guard, cell));
            let all: Vec<String> = first.map(str::to_owned).into_iter().chain(cells).collect();
            writeln!(out, "| {} |", all.join(" | ")).unwrap();
        }
    }
    out
}

#[test]
fn table_20_per_minute_and_60_per_hour() {
    println!("{}", full_table(&VENDORS[0]));
}

#[test]
fn table_10_per_second_and_300_per_minute() {
    println!("{}", full_table(&VENDORS[1]));
}

#[test]
fn table_1_per_second() {
    println!("{}", full_table(&VENDORS[2]));
}

#[test]
fn table_1000_per_second() {
    println!("{}", full_table(&VENDORS[3]));
}

#[test]
fn table_10_per_second_200_per_minute_and_5000_per_hour() {
    println!("{}", full_table(&VENDORS[4]));
}
