//! The network of one run: seeded one-way latencies, the same draws for everybody.

use std::time::Duration;

use paceline_clock::Random;
use paceline_lab::Law;

use crate::Failure;

/// The laws of one-way latency; the second makes calls overtake one another.
pub(crate) const LAWS: [(&str, &str); 2] = [("0", "no latency"), ("20..400", "20-400 ms one way")];
/// Runs per cell, each with its own draws and its own phase of the server's clock.
pub(crate) const RUNS: usize = 20;
/// Connections whose making a client sees before its first call; as many as the platform lets be open at once.
const CONNECTIONS: usize = 6;

/// What the network does in one run.
#[derive(Clone, Debug)]
pub(crate) struct Delays {
    /// From the sending of the nth call to its counting.
    pub(crate) out: Vec<Duration>,
    /// From there to its answer. Only a client that listens sees these.
    pub(crate) back: Vec<Duration>,
    /// How long connections took to make.
    pub(crate) connect: Vec<Duration>,
    /// How far into its longest window the server's clock stands when the client starts.
    pub(crate) phase: Duration,
}

impl Delays {
    /// The phase lies in the run's own stratum of the longest window, so that all of it is covered evenly.
    pub(crate) fn of_run(run: usize, calls: usize, longest: Duration, law: Law) -> Self {
        let stream = |purpose: u64| Random::seeded(run as u64 * 4 + purpose);
        let draw = |purpose, count| {
            let random = stream(purpose);
            (0..count).map(|_| law.draw(&random)).collect::<Vec<_>>()
        };
        // There and back.
        let round_trips = draw(2, CONNECTIONS * 2);
        let into = (run as f64 + stream(3).unit()) / RUNS as f64;
        Self {
            out: draw(0, calls),
            back: draw(1, calls),
            connect: round_trips.chunks(2).map(|ways| ways.iter().sum()).collect(),
            phase: longest.mul_f64(into),
        }
    }
}

/// The law of that text.
pub(crate) fn law(text: &str) -> Result<Law, Failure> {
    Ok(text.parse()?)
}
