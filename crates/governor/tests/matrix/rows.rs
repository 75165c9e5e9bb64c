//! Rows of the matrix, each run once in a process however many tests ask for it.

use std::sync::OnceLock;
use std::time::Duration;

use paceline_governor::{Limit, PlanRequest, Shape, plan};

use crate::drive::{self, Run};
use crate::scenario::{
    Case, Enforcement, Guarding, LONG, Latency, RetryAfter, SHAPES, SHORT, VENDORS, Vendor,
};

/// The governor holds every window longer than it is by a part in so many: the drift of two clocks (limiter-theory.md,
/// "The stamp"). The bound allows it that; the optimum does not.
const DRIFT_DIVISOR: u32 = 2_000;

/// One row: a vendor's limits under one latency, one shape and one guard.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) vendor: &'static Vendor,
    pub(crate) latency: Latency,
    pub(crate) shape: Shape,
    pub(crate) guarding: Guarding,
    /// Of short jobs and of long ones; one cell for each [`Enforcement::ALL`].
    pub(crate) cells: [Vec<Cell>; 2],
}

/// One cell: the worst of all its runs.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) enforcement: Enforcement,
    pub(crate) is_long: bool,
    pub(crate) calls: u32,
    pub(crate) runs: u32,
    /// Refused calls of the worst run, and of all runs together.
    pub(crate) refused: u64,
    pub(crate) refused_in_all: u64,
    /// Of the worst run, those after a third of the calls.
    pub(crate) refused_settled: u64,
    /// T* / time of the last start.
    pub(crate) of_optimum: f64,
    /// The same, but T* with every window as long as strictness makes it.
    pub(crate) of_bound: f64,
    /// The rate between whole windows against L/(W+g).
    pub(crate) of_rate: f64,
    /// Runs that did not end.
    pub(crate) endless: u32,
}

impl Row {
    pub(crate) fn both(&self) -> impl Iterator<Item = &Cell> {
        self.cells.iter().flatten()
    }

    fn measure(
        vendor: &'static Vendor,
        latency: Latency,
        shape: Shape,
        guarding: Guarding,
    ) -> Self {
        let cells = [SHORT, LONG].map(|size| {
            let of = |enforcement: Enforcement| {
                let case = |run| Case {
                    vendor,
                    enforcement,
                    latency,
                    shape,
                    guarding,
                    retry_after: RetryAfter::default(),
                    calls: vendor.calls[size],
                    run,
                };
                Cell::measure((0..enforcement.runs(vendor, latency)).map(case))
            };
            Enforcement::ALL.map(of).to_vec()
        });
        Self { vendor, latency, shape, guarding, cells }
    }
}

impl Cell {
    fn measure(cases: impl Iterator<Item = Case>) -> Self {
        let cells = cases.map(|case| Self::of_run(&case, &drive::run(&case)));
        cells.reduce(Self::worse).unwrap()
    }

    fn of_run(case: &Case, run: &Run) -> Self {
        let vendor = case.vendor;
        let share = |wanted: Duration, spent: Duration| match (wanted, spent) {
            (Duration::ZERO, _) | (_, Duration::ZERO) => 1.0,
            _ => wanted.as_secs_f64() / spent.as_secs_f64(),
        };
        let bound = |calls, held: Duration| {
            optimum(vendor, calls, |window| window + window / DRIFT_DIVISOR + held)
        };
        let (from, to) = whole_windows(vendor, case.calls);
        let time_of = |call: u32| run.sent.get(call as usize).copied().unwrap_or_default();
        let (all, settled) = (0..run.sent.len(), from as usize..to as usize);
        let (held, held_settled) = (run.seen_after(all), run.seen_after(settled));
        let optimum = optimum(vendor, case.calls, |window| window);
        let settled = bound(to + 1, held_settled).saturating_sub(bound(from + 1, held_settled));
        Self {
            enforcement: case.enforcement,
            is_long: case.calls == vendor.calls[LONG],
            calls: case.calls,
            runs: 1,
            refused: run.refused,
            refused_in_all: run.refused,
            refused_settled: run.refused_settled,
            of_optimum: share(optimum, run.last_start()),
            of_bound: share(bound(case.calls, held), run.last_start()),
            of_rate: share(settled, time_of(to).saturating_sub(time_of(from))),
            endless: u32::from(!run.ended),
        }
    }

    /// The worst of both in everything.
    pub(crate) fn worse(self, other: Self) -> Self {
        Self {
            runs: self.runs + other.runs,
            refused: self.refused.max(other.refused),
            refused_in_all: self.refused_in_all + other.refused_in_all,
            refused_settled: self.refused_settled.max(other.refused_settled),
            of_optimum: self.of_optimum.min(other.of_optimum),
            of_bound: self.of_bound.min(other.of_bound),
            of_rate: self.of_rate.min(other.of_rate),
            endless: self.endless + other.endless,
            ..self
        }
    }
}

/// T*: when the last of so many calls may start at the earliest, if each window is as long as `held` makes it.
fn optimum(vendor: &Vendor, calls: u32, held: impl Fn(Duration) -> Duration) -> Duration {
    let limits = vendor.parsed().into_iter();
    let request = PlanRequest {
        calls: u64::from(calls),
        limits: limits.map(|l| Limit::new(l.count(), held(l.window())).unwrap()).collect(),
        concurrency: None,
        service: Duration::ZERO,
    };
    Duration::from_secs_f64(plan(&request).unwrap().last_start_ms / 1e3)
}

/// Two calls that each begin a window of the largest count that the job fills more than once: between them the rate
/// can be read off without the burst at the beginning and the part of a window at the end.
fn whole_windows(vendor: &Vendor, calls: u32) -> (u32, u32) {
    let counts = vendor.parsed().into_iter().map(|limit| limit.count());
    let count = counts.filter(|count| *count * 2 < calls).max().unwrap_or(1);
    let windows = (calls - 1) / count;
    (windows / 3 * count, windows * count)
}

/// Where a row is kept.
fn place(vendor: usize, latency: usize, shape: usize, guard: usize) -> usize {
    ((vendor * Latency::ALL.len() + latency) * SHAPES.len() + shape) * Guarding::TRIED.len() + guard
}

const ROWS: usize = VENDORS.len() * Latency::ALL.len() * SHAPES.len() * Guarding::TRIED.len();
static KEPT: [OnceLock<Row>; ROWS] = [const { OnceLock::new() }; ROWS];

/// The rows that `wanted` accepts, vendor by vendor.
pub(crate) fn rows(
    wanted: impl Fn(&'static Vendor, Latency, Shape, Guarding) -> bool,
) -> Vec<&'static Row> {
    let mut found = Vec::new();
    for (v, vendor) in VENDORS.iter().enumerate() {
        for (l, latency) in Latency::ALL.into_iter().enumerate() {
            for (s, shape) in SHAPES.into_iter().enumerate() {
                for (g, guarding) in Guarding::TRIED.into_iter().enumerate() {
                    if wanted(vendor, latency, shape, guarding) {
                        let measure = || Row::measure(vendor, latency, shape, guarding);
                        found.push(KEPT[place(v, l, s, g)].get_or_init(measure));
                    }
                }
            }
        }
    }
    found
}
