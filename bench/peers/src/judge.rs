//! The verdict on a schedule: how many of its calls are answered 429, and how late the last one arrives.

use std::time::Duration;

use paceline_clock::Tick;
use paceline_lab::{Enforcer, Verdict};

use crate::Failure;
use crate::delays::{Delays, LAWS, RUNS, law};
use crate::ours::{self, Ours};
use crate::sets::Set;
use crate::zoo::{KINDS, Kind};

/// What became of the calls of one run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdicts {
    pub(crate) refused: usize,
    pub(crate) last_arrival: Duration,
}

/// One cell of the matrix: means over all runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) refused: f64,
    /// The last call's arrival over the optimum.
    pub(crate) ratio: f64,
}

/// Who is judged.
pub(crate) enum Client<'a> {
    /// Send times that do not depend on the server.
    Trace(&'a [u64]),
    /// A budget that listens to the answers.
    Ours(Ours),
}

/// All that is the same for every client under one set of limits.
pub(crate) struct Course {
    pub(crate) set: Set,
    /// By law of latency, then by run.
    delays: Vec<Vec<Delays>>,
    /// By policy, then by run.
    optima: Vec<Vec<Duration>>,
}

impl Course {
    pub(crate) fn new(set: Set) -> Result<Self, Failure> {
        let of_law = |text| {
            let law = law(text)?;
            let longest = set.long().length();
            Ok((0..RUNS).map(|run| Delays::of_run(run, set.calls, longest, law)).collect())
        };
        let delays: Vec<Vec<Delays>> =
            LAWS.iter().map(|(text, _)| of_law(text)).collect::<Result<_, Failure>>()?;
        // The phases are the same under every law.
        let of_kind =
            |kind: &Kind| delays[0].iter().map(|run| kind.optimum(&set, run.phase)).collect();
        let optima = KINDS.iter().map(of_kind).collect::<Result<_, Failure>>()?;
        Ok(Self { set, delays, optima })
    }

    /// Mean over the runs, in seconds.
    pub(crate) fn optimum_s(&self, kind: usize) -> f64 {
        self.optima[kind].iter().map(Duration::as_secs_f64).sum::<f64>() / RUNS as f64
    }

    /// The cells of one client: by law of latency, then by policy.
    pub(crate) fn judge(&self, client: &Client<'_>) -> Result<Vec<Vec<Cell>>, Failure> {
        let of_law = |runs: &Vec<Delays>| {
            let cells = KINDS.iter().zip(&self.optima);
            cells.map(|(kind, optima)| self.cell(client, kind, runs, optima)).collect()
        };
        self.delays.iter().map(of_law).collect()
    }

    fn cell(
        &self,
        client: &Client<'_>,
        kind: &Kind,
        runs: &[Delays],
        optima: &[Duration],
    ) -> Result<Cell, Failure> {
        let mut sum = Cell { refused: 0.0, ratio: 0.0 };
        for (delays, optimum) in runs.iter().zip(optima) {
            let enforcer = kind.enforcer(&self.set)?;
            let verdicts = match client {
                Client::Trace(sent_ns) => replay(sent_ns, delays, enforcer),
                Client::Ours(ours) => ours::drive(*ours, &self.set, delays, enforcer)?,
            };
            sum.refused += verdicts.refused as f64;
            sum.ratio += verdicts.last_arrival.as_secs_f64() / optimum.as_secs_f64();
        }
        Ok(Cell { refused: sum.refused / RUNS as f64, ratio: sum.ratio / RUNS as f64 })
    }
}

/// Lets the calls arrive, each after its own latency and so perhaps out of order.
fn replay(sent_ns: &[u64], delays: &Delays, mut enforcer: Enforcer) -> Verdicts {
    let sent = sent_ns.iter().map(|ns| Tick::from_nanos(*ns));
    let mut arrivals: Vec<Tick> = sent.zip(&delays.out).map(|(sent, out)| sent + *out).collect();
    arrivals.sort_unstable();
    let mut verdicts = Verdicts::default();
    for at in arrivals {
        verdicts.refused += usize::from(enforcer.decide(at + delays.phase) != Verdict::Accepted);
        verdicts.last_arrival = at - Tick::ZERO;
    }
    verdicts
}
