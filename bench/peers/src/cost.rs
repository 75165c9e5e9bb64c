//! What one decision costs, ours and theirs, in one run: ns per operation with one thread, and with two threads on one
//! shared limiter.
//!
//! Nothing waits. The operations take turns, round after round, so that a noisy moment of the machine strikes all of
//! them; every batch takes about as long, so that it strikes all of them alike. The median of the rounds is told, and
//! the ratios are made of medians of one run.

mod ours;
mod ours_keyed;
mod theirs;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::Failure;

/// Rounds per operation and number of threads.
const ROUNDS: usize = 101;
/// What a batch is made to take: long against reading the clock, short against a slice of the scheduler.
const BATCH: Duration = Duration::from_millis(1);
/// Batches are whole multiples of so many operations; also how many calls are under way at once, at most, per thread.
pub(crate) const CHUNK: usize = 100;
/// Keys of the keyed limiters.
pub(crate) const KEYS: usize = 1_000_000;

/// Does so many operations on the thread of that number and answers how long they took; what has to be put back in order
/// between operations, it does untimed.
type Batch = Box<dyn Fn(usize, usize) -> Duration + Sync>;

/// Something to measure.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Whether two threads can share it at all.
    pub(crate) shared: bool,
    pub(crate) batch: Batch,
}

impl Operation {
    pub(crate) fn new(
        name: &'static str,
        batch: impl Fn(usize, usize) -> Duration + Sync + 'static,
    ) -> Self {
        Self { name, shared: true, batch: Box::new(batch) }
    }

    /// How many operations take about as long as a batch is to take.
    fn batch_size(&self) -> usize {
        const TRIAL: usize = 10 * CHUNK;
        let trials = (0..20).map(|_| (self.batch)(0, TRIAL)).min();
        let one = trials.map_or(1.0, |took| took.as_nanos() as f64 / TRIAL as f64).max(0.1);
        (BATCH.as_nanos() as f64 / one) as usize / CHUNK * CHUNK + CHUNK
    }

    /// Nanoseconds per operation and thread, with so many threads at once.
    fn round(&self, threads: usize, ops: usize) -> f64 {
        let (ready, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let run = |thread| {
            // Untimed: brings back into the caches what the operation before has driven out.
            (self.batch)(thread, ops / 2 / CHUNK * CHUNK + CHUNK);
            ready.fetch_add(1, SeqCst);
            // A barrier that sleeps would let one thread begin long before the other.
            while ready.load(SeqCst) < threads {
                std::hint::spin_loop();
            }
            let took = (self.batch)(thread, ops);
            done.fetch_add(1, SeqCst);
            // The other thread must not end its batch alone.
            while done.load(SeqCst) < threads {
                (self.batch)(thread, CHUNK);
            }
            took.as_nanos() as f64 / ops as f64
        };
        let run = &run;
        let all: f64 = std::thread::scope(|scope| {
            let others: Vec<_> =
                (1..threads).map(|thread| scope.spawn(move || run(thread))).collect();
            let own = run(0);
            own + others.into_iter().map(|other| other.join().unwrap_or(f64::NAN)).sum::<f64>()
        });
        all / threads as f64
    }
}

/// The operation whose cost the others are told in multiples of.
const BASE: &str = "governor: direct check";
const TWO_GOVERNORS: &str = "governor: two limiters, both checked";

pub(crate) fn print_table() -> Result<(), Failure> {
    let mut operations = theirs::operations()?;
    operations.extend(ours::operations()?);
    operations.extend(ours_keyed::operations()?);

    let sizes: Vec<usize> = operations.iter().map(Operation::batch_size).collect();
    let mut rounds = vec![[Vec::new(), Vec::new()]; operations.len()];
    for _ in 0..ROUNDS {
        for ((operation, figures), ops) in operations.iter().zip(&mut rounds).zip(&sizes) {
            figures[0].push(operation.round(1, *ops));
            if operation.shared {
                figures[1].push(operation.round(2, *ops));
            }
        }
    }
    let medians: Vec<[f64; 2]> =
        rounds.iter_mut().map(|figures| figures.each_mut().map(|f| median(f))).collect();
    let of = |name| {
        operations.iter().position(|o| o.name == name).map_or([f64::NAN; 2], |at| medians[at])
    };
    let (base, two) = (of(BASE), of(TWO_GOVERNORS));

    println!(
        "| operation | ns/op, 1 thread | ns/op, 2 threads | x one governor | x two governors |"
    );
    println!("|---|--:|--:|--:|--:|");
    for (operation, [one_thread, two_threads]) in operations.iter().zip(&medians) {
        let against = |other: [f64; 2]| both(one_thread / other[0], two_threads / other[1], 2);
        println!(
            "| {} | {} | {} | {} | {} |",
            operation.name,
            figure(*one_thread, 1),
            figure(*two_threads, 1),
            against(base),
            against(two),
        );
    }
    println!();
    Ok(())
}

fn median(figures: &mut [f64]) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn both(one: f64, two: f64, digits: usize) -> String {
    format!("{} / {}", figure(one, digits), figure(two, digits))
}

fn figure(number: f64, digits: usize) -> String {
    if number.is_nan() { "-".to_owned() } else { format!("{number:.digits$}") }
}

/// The bench's own door to the machine's clock; everything else takes a `Clock`.
#[expect(clippy::disallowed_methods, reason = "a bench measures the machine's time")]
pub(crate) fn timed(act: impl FnOnce()) -> Duration {
    let began = std::time::Instant::now();
    act();
    began.elapsed()
}

/// The name of a key, as a customer's id may look.
pub(crate) fn key(number: usize) -> String {
    format!("customer-{number:07}")
}

/// Keys in an order that no cache foresees: each thread walks a full cycle through all of them, and goes on where it
/// stopped, so that no batch finds the last one's keys in the cache.
#[derive(Default)]
pub(crate) struct Walk([AtomicUsize; 2]);

impl Walk {
    pub(crate) fn next(&self, thread: usize, ops: usize) -> impl Iterator<Item = usize> {
        // A full period: the step and the number of keys have no common factor.
        const STEP: usize = 618_033;
        let first = self.0[thread].fetch_add(ops, SeqCst) + thread * KEYS / 2;
        (first..first + ops).map(|nth| nth * STEP % KEYS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_visits_every_key_before_it_visits_one_again() {
        let walk = Walk::default();
        let mut seen = vec![false; KEYS];
        for _ in 0..10 {
            walk.next(1, KEYS / 10).for_each(|at| assert!(!std::mem::replace(&mut seen[at], true)));
        }
    }
}
