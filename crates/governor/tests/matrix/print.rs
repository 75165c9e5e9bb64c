//! The matrix as tables on the screen: every row of one vendor.

use std::fmt::Write;

use crate::rows::{Cell, Row, rows};
use crate::scenario::{Enforcement, Guarding, LONG, SHORT, VENDORS, Vendor};

/// What a cell says: refused calls of the worst run (and how many of them late), and the worst utilisation.
fn cell_text(guarding: Guarding, cell: &Cell) -> String {
    let late = match (cell.refused, cell.refused_settled) {
        (0, _) => String::new(),
        (_, late) => format!(" ({late})"),
    };
    format!("{}{late} / {}", cell.refused, utilisation(guarding, cell))
}

/// Under the strict guard of what strictness allows, else of the optimum.
pub(crate) fn utilisation(guarding: Guarding, cell: &Cell) -> String {
    match guarding {
        _ if cell.endless > 0 => "never ends".to_owned(),
        Guarding::Strict => format!("{:.3}", cell.of_bound),
        _ => format!("{:.3}", cell.of_optimum),
    }
}

pub(crate) fn heading(out: &mut String, names: &[&str]) {
    writeln!(out, "| {} |\n|{}", names.join(" | "), "---|".repeat(names.len())).unwrap();
}

pub(crate) fn line(out: &mut String, first: &[&str], cells: impl Iterator<Item = String>) {
    let first = first.iter().map(|name| (*name).to_owned());
    writeln!(out, "| {} |", first.chain(cells).collect::<Vec<_>>().join(" | ")).unwrap();
}

/// Every row of one vendor, for long jobs and then for short ones.
fn full_table(vendor: &Vendor, rows: &[&Row]) -> String {
    let policies = Enforcement::ALL.map(Enforcement::name);
    let mut out = String::new();
    for size in [LONG, SHORT] {
        writeln!(out, "\n## {}, {} calls\n", vendor.name, vendor.calls[size]).unwrap();
        heading(&mut out, &[&["latency", "shape", "guard"], &policies[..]].concat());
        for Row { latency, shape, guarding, cells, .. } in rows {
            let first = [latency.name(), shape.as_str(), guarding.name()];
            line(&mut out, &first, cells[size].iter().map(|cell| cell_text(*guarding, cell)));
        }
    }
    out
}

/// Prints the table of one vendor. A job may be slow, but it must end.
#[expect(clippy::print_stdout, reason = "whoever runs it with --nocapture wants to read it")]
fn table(vendor: &'static Vendor) {
    let rows = rows(|other, _, _, _| std::ptr::eq(other, vendor));
    println!("{}", full_table(vendor, &rows));
    let endless: u32 = rows.iter().flat_map(|row| row.both()).map(|cell| cell.endless).sum();
    assert_eq!(endless, 0, "jobs that did not end; the table says where");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without --release")]
fn table_20_per_minute_and_60_per_hour_of_jobs_that_all_end() {
    table(&VENDORS[0]);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without --release")]
fn table_10_per_second_and_300_per_minute_of_jobs_that_all_end() {
    table(&VENDORS[1]);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without --release")]
fn table_1_per_second_of_jobs_that_all_end() {
    table(&VENDORS[2]);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without --release")]
fn table_200_per_second_of_jobs_that_all_end() {
    table(&VENDORS[3]);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without --release")]
fn table_1000_per_second_of_jobs_that_all_end() {
    table(&VENDORS[4]);
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without --release")]
fn table_10_per_second_200_per_minute_and_5000_per_hour_of_jobs_that_all_end() {
    table(&VENDORS[5]);
}
