//! The page of the crate's docs: the worst of every vendor, shape and guard, and what strictness costs.

use std::fmt::Write;
use std::path::Path;

use paceline_governor::Shape;

use crate::print::{heading, line, utilisation};
use crate::rows::{Cell, Row, rows};
use crate::scenario::{Enforcement, Guarding, LONG, Latency, SHAPES, VENDORS, Vendor};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/matrix.md");

const INTRODUCTION: &str = "\
# The matrix

The deciding core against every kind of enforcer, in virtual time: a job of calls that are all wanted at once. What a
vendor refuses goes back to the front of the queue. `Retry-After` comes in whole seconds, rounded up.

- **Enforcers**: windows that are fixed or opened by the first call, sliding logs (plain, counting refused calls, in whole
  seconds), sliding counters, buckets of the limit's count and of a quarter of it; up to 20 phases of those that have one.
- **Delays**: at least three seeds each where there is chance.
- **Guards**: `strict`; `auto` over connections that are there before; `auto, told` over ones that the job makes and tells of.

The tables are written by `cargo test --release -p paceline-governor --test matrix -- --ignored rewrite`, and a test
holds them to what is computed. Every row: `cargo test --release -p paceline-governor --test matrix -- --nocapture table`.
";

const WORST: &str = "
## The worst of all delays

A cell says how many calls were refused, and the utilisation: under the strict guard the time of the last start that is
the least possible when each window is `W + g` long (`g`: the mean time from sending to the response's head, and 500 ppm
of drift), else the least possible at all, by the time that it took. Both are the worst of all delays, phases and seeds.
";

const COST: &str = "
## What strictness costs

Shape `burst`, guard `strict`, the five enforcers that accept the limit in every window; no call was refused. `rate` is the
rate between whole windows against `L / (W + g)`, `bound` and `optimum` the utilisation as above, with `W + g` and with `W`.
";

/// The page as it is measured.
fn page() -> String {
    let mut out = INTRODUCTION.to_owned();
    out.push_str(WORST);
    for vendor in &VENDORS {
        worst_of_vendor(&mut out, vendor);
    }
    out.push_str(COST);
    cost(&mut out);
    out
}

fn worst_of_vendor(out: &mut String, vendor: &'static Vendor) {
    writeln!(out, "\n**{}**, {} calls:\n", vendor.name, vendor.calls[LONG]).unwrap();
    heading(out, &[&["shape", "guard"], &Enforcement::ALL.map(Enforcement::name)[..]].concat());
    for wanted in SHAPES {
        for guarding in Guarding::TRIED {
            let rows = rows(|other, _, shape, other_guarding| {
                std::ptr::eq(other, vendor) && shape == wanted && other_guarding == guarding
            });
            let worst = |place: usize| worst(rows.iter().map(|row| &row.cells[LONG][place]));
            let cells = (0..Enforcement::ALL.len()).map(|place| {
                let cell = worst(place);
                format!("{} / {}", cell.refused, utilisation(guarding, &cell))
            });
            line(out, &[wanted.as_str(), guarding.name()], cells);
        }
    }
}

fn cost(out: &mut String) {
    let names = VENDORS.each_ref().map(|vendor| vendor.name);
    out.push_str("\nEach cell: rate / bound / optimum.\n\n");
    heading(out, &[&["delays"], &names[..]].concat());
    for wanted in Latency::ALL {
        let rows = rows(|_, latency, shape, guarding| {
            latency == wanted && shape == Shape::Burst && guarding == Guarding::Strict
        });
        let cell = |row: &&Row| {
            let accepting = row.cells[LONG].iter().filter(|cell| cell.enforcement.accepts_s());
            let cell = worst(accepting);
            format!("{:.3} / {:.3} / {:.3}", cell.of_rate, cell.of_bound, cell.of_optimum)
        };
        line(out, &[wanted.name()], rows.iter().map(cell));
    }
}

fn worst<'a>(cells: impl Iterator<Item = &'a Cell>) -> Cell {
    cells.cloned().reduce(Cell::worse).unwrap()
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes minutes without --release")]
fn the_page_says_what_is_measured() {
    let written = std::fs::read_to_string(Path::new(PAGE)).unwrap();
    let computed = page();
    let differs =
        written.lines().zip(computed.lines()).find(|(written, computed)| written != computed);
    assert!(
        written == computed,
        "docs/matrix.md is not what is measured; the first line that differs:\n{differs:#?}\n\
         Look at what changed, then: cargo test --release -p paceline-governor --test matrix -- --ignored rewrite"
    );
}

#[test]
#[ignore = "writes docs/matrix.md"]
fn rewrite() {
    std::fs::write(PAGE, page()).unwrap();
}
