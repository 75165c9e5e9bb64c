//! The demands of issue 3, acceptance 1. Each fails with the cells that offend.

use std::fmt::Write;
use std::time::Duration;

use paceline_governor::{Guard, Shape};

use crate::print::{guard_name, percent};
use crate::rows::{Cell, Row, rows};
use crate::scenario::{Enforcement, LONG, Latency, Vendor};

/// "1.000": what rounding to whole nanoseconds may cost.
const WHOLE: f64 = 1.0 - 1e-6;

/// Fails with every cell of every row that `offends` names a reason for.
#[track_caller]
fn demand<'a>(rows: &[&'a Row], offends: impl Fn(&Row, &'a Cell) -> Option<String>) {
    let mut faults = String::new();
    let (mut cells, mut offending) = (0, 0);
    for row in rows {
        for cell in row.both() {
            cells += 1;
            if let Some(fault) = offends(row, cell) {
                offending += 1;
                let Row { vendor, latency, shape, guard, .. } = row;
                let (vendor, latency, calls) = (vendor.name, latency.name(), cell.calls);
                let (shape, guard) = (shape.as_str(), guard_name(*guard));
                let enforcement = cell.enforcement.name();
                let what = format!("{vendor}, {latency}, {shape}, {guard}, {enforcement}, {calls}");
                writeln!(faults, "  {what} calls: {fault}").unwrap();
            }
        }
    }
    assert!(cells > 0, "no cell was asked for");
    assert!(offending == 0, "{offending} of {cells} cells:\n{faults}");
}

fn refused_at_all(cell: &Cell) -> Option<String> {
    (cell.refused_in_all > 0 || cell.endless > 0).then(|| {
        let Cell { refused, refused_in_all, runs, endless, .. } = cell;
        format!("{refused} refused at worst, {refused_in_all} in {runs} runs, {endless} endless")
    })
}

fn refused_more_than(share: f64, cell: &Cell) -> Option<String> {
    let refused = cell.refused as f64 / f64::from(cell.calls);
    (refused > share || cell.endless > 0)
        .then(|| format!("{} refused, {} endless of {}", percent(refused), cell.endless, cell.runs))
}

fn slower_than(least: f64, reached: f64, of: &str) -> Option<String> {
    (reached < least).then(|| format!("{reached:.4} of {of}, {least} is demanded"))
}

fn is_long(row: &Row, cell: &Cell) -> bool {
    row.cells(LONG).iter().any(|long| std::ptr::eq(long, cell))
}

fn strict(wanted: Shape) -> Vec<&'static Row> {
    rows(move |_, _, shape, guard| shape == wanted && guard == Guard::Strict)
}

/// Whether calls that are sent a pace apart arrive in the order and about the distance in which they were sent.
fn outpaces_jitter(pace: Duration, latency: Latency) -> bool {
    pace > latency.jitter()
}

#[test]
fn burst_and_strict_is_never_refused_by_who_accepts_s() {
    demand(&strict(Shape::Burst), |_, cell| {
        cell.enforcement.accepts_s().then(|| refused_at_all(cell)).flatten()
    });
}

#[test]
fn burst_and_strict_keeps_99_percent_of_the_rate_that_strictness_allows() {
    demand(&strict(Shape::Burst), |row, cell| {
        if !cell.enforcement.accepts_s() || !is_long(row, cell) {
            return None;
        }
        slower_than(0.99, cell.of_rate, "the rate L/(W+g)")
    });
}

/// The 500 ppm by which windows are held longer are part of the bound here; against the optimum itself they are all
/// that is lost.
#[test]
fn burst_and_strict_is_the_optimum_where_nothing_takes_time() {
    let rows = strict(Shape::Burst);
    let rows: Vec<_> = rows.into_iter().filter(|row| row.latency == Latency::Zero).collect();
    demand(&rows, |_, cell| {
        if !cell.enforcement.accepts_s() {
            return None;
        }
        slower_than(WHOLE, cell.of_bound, "the bound with drift")
            .or_else(|| slower_than(1.0 / 1.000_500_1, cell.of_optimum, "the optimum"))
    });
}

#[test]
fn paced_and_counter_safe_are_never_refused_by_who_accepts_s() {
    let rows = [strict(Shape::Paced), strict(Shape::CounterSafe)].concat();
    demand(&rows, |_, cell| cell.enforcement.accepts_s().then(|| refused_at_all(cell)).flatten());
}

#[test]
fn counter_safe_is_never_refused_by_a_counter_that_jitter_does_not_outrun() {
    demand(&strict(Shape::CounterSafe), |row, cell| {
        let (shortest, _) = row.vendor.paces();
        let counts =
            cell.enforcement == Enforcement::Counter && outpaces_jitter(shortest, row.latency);
        counts.then(|| refused_at_all(cell)).flatten()
    });
}

#[test]
fn paced_is_never_refused_by_a_counter_or_a_small_bucket_that_jitter_does_not_outrun() {
    demand(&strict(Shape::Paced), |row, cell| {
        let (_, longest) = row.vendor.paces();
        let small = matches!(cell.enforcement, Enforcement::Counter | Enforcement::SmallBucket);
        (small && outpaces_jitter(longest, row.latency)).then(|| refused_at_all(cell)).flatten()
    });
}

#[test]
#[ignore = "until shape auto learns the enforcer"]
fn shape_auto_is_refused_nowhere_burst_is_not_and_elsewhere_at_most_one_call_in_a_hundred() {
    demand(&strict(Shape::Auto), |row, cell| {
        if cell.enforcement.accepts_s() {
            refused_at_all(cell)
        } else if is_long(row, cell) {
            refused_more_than(0.01, cell)
        } else {
            None
        }
    });
}

fn auto_guard(wanted: impl Fn(&'static Vendor, Latency) -> bool) -> Vec<&'static Row> {
    rows(move |vendor, latency, shape, guard| {
        shape == Shape::Burst && guard == Guard::Auto && wanted(vendor, latency)
    })
}

const MINUTE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "until shape auto learns the enforcer"]
fn guard_auto_is_strict_and_costs_nothing_from_windows_of_a_minute_on() {
    demand(&auto_guard(|vendor, _| vendor.shortest_window() >= MINUTE), |row, cell| {
        if !cell.enforcement.accepts_s() {
            return None;
        }
        let slow = || slower_than(0.99, cell.of_optimum, "the optimum");
        refused_at_all(cell).or_else(|| is_long(row, cell).then(slow).flatten())
    });
}

#[test]
#[ignore = "until shape auto learns the enforcer"]
fn guard_auto_learns_a_quick_network_under_windows_of_a_second() {
    let rows = auto_guard(|vendor, latency| {
        vendor.shortest_window() < MINUTE && matches!(latency, Latency::Slow | Latency::Quick)
    });
    demand(&rows, |row, cell| {
        if !cell.enforcement.accepts_s() || !is_long(row, cell) {
            return None;
        }
        refused_more_than(0.001, cell).or_else(|| slower_than(0.95, cell.of_optimum, "the optimum"))
    });
}
