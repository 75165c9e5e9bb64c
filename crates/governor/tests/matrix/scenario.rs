//! The axes of the matrix, and one case of it.

use std::time::Duration;

use paceline_clock::{Random, Tick};
use paceline_governor::{Guard, Limit, Shape};
use paceline_lab::{Law, Policy};

/// Limits that a vendor sets all at once.
#[derive(Debug)]
pub(crate) struct Vendor {
    pub(crate) name: &'static str,
    pub(crate) limits: &'static [&'static str],
    /// Calls of a short and of a long job.
    pub(crate) calls: [u32; 2],
    /// How many phases of its windows are tried.
    phases: u32,
}

/// The sets of limits. A short job is three of the smallest bursts, a long one goes on until the limiter has settled.
pub(crate) static VENDORS: [Vendor; 6] = [
    Vendor { name: "20/min + 60/h", limits: &["20/min", "60/h"], calls: [60, 1_000], phases: 20 },
    Vendor { name: "10/s + 300/min", limits: &["10/s", "300/min"], calls: [30, 1_000], phases: 20 },
    Vendor { name: "1/s", limits: &["1/s"], calls: [10, 1_000], phases: 20 },
    Vendor { name: "200/s", limits: &["200/s"], calls: [600, 6_000], phases: 6 },
    Vendor { name: "1000/s", limits: &["1000/s"], calls: [3_000, 20_000], phases: 6 },
    Vendor {
        name: "10/s + 200/min + 5000/h",
        limits: &["10/s", "200/min", "5000/h"],
        calls: [30, 1_000],
        phases: 20,
    },
];

/// A short job and a long one, as indices of [`Vendor::calls`].
pub(crate) const SHORT: usize = 0;
pub(crate) const LONG: usize = 1;

/// How a vendor enforces its limits: the columns of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enforcement {
    Fixed,
    FirstCall,
    Log,
    LogCounting,
    LogSeconds,
    Counter,
    Bucket,
    /// A bucket of a quarter of each limit's count.
    SmallBucket,
}

/// What the network and the vendor's work take: one way before the call is counted, the work, one way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Latency {
    Zero,
    Uniform,
    HeavyTail,
    Slow,
    Quick,
}

/// The guard, and what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarding {
    Strict,
    /// Connections are there before the job begins; only answers teach.
    Auto,
    /// Calls make connections as they need them, in one round trip, and say so, as the engine does.
    AutoTold,
    /// A bound as short as that: for the tests of the judge.
    Fixed(Duration),
}

/// How a refusal says when to come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RetryAfter {
    None,
    /// Rounded up, as nearly every vendor does.
    #[default]
    WholeSeconds,
    Exact,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) vendor: &'static Vendor,
    pub(crate) enforcement: Enforcement,
    pub(crate) latency: Latency,
    pub(crate) shape: Shape,
    pub(crate) guarding: Guarding,
    pub(crate) retry_after: RetryAfter,
    pub(crate) calls: u32,
    /// Numbers the runs of one cell: another phase of the vendor's windows, and another seed.
    pub(crate) run: u32,
}

pub(crate) const SHAPES: [Shape; 4] = [Shape::Burst, Shape::Paced, Shape::CounterSafe, Shape::Auto];

impl Vendor {
    pub(crate) fn parsed(&self) -> Vec<Limit> {
        self.limits.iter().map(|text| text.parse().unwrap()).collect()
    }

    pub(crate) fn enforced(&self) -> Vec<paceline_lab::Limit> {
        self.limits.iter().map(|text| text.parse().unwrap()).collect()
    }

    pub(crate) fn shortest_window(&self) -> Duration {
        self.parsed().iter().map(Limit::window).min().unwrap()
    }

    fn longest_window(&self) -> Duration {
        self.parsed().iter().map(Limit::window).max().unwrap()
    }

    /// The time between two calls of the fastest and of the slowest limit.
    pub(crate) fn paces(&self) -> (Duration, Duration) {
        let paces: Vec<Duration> =
            self.parsed().iter().map(|limit| limit.window() / limit.count()).collect();
        (*paces.iter().min().unwrap(), *paces.iter().max().unwrap())
    }
}

impl Enforcement {
    pub(crate) const ALL: [Self; 8] = [
        Self::Fixed,
        Self::FirstCall,
        Self::Log,
        Self::LogCounting,
        Self::LogSeconds,
        Self::Counter,
        Self::Bucket,
        Self::SmallBucket,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::FirstCall => "first_call",
            Self::Log => "log",
            Self::LogCounting => "log_counting",
            Self::LogSeconds => "log:seconds",
            Self::Counter => "counter",
            Self::Bucket => "bucket L",
            Self::SmallBucket => "bucket L/4",
        }
    }

    /// Whether it accepts whatever keeps every limit in every window (limiter-theory.md, "Property S").
    pub(crate) fn accepts_s(self) -> bool {
        !matches!(self, Self::LogSeconds | Self::Counter | Self::SmallBucket)
    }

    pub(crate) fn policy(self, vendor: &Vendor) -> Policy {
        match self {
            Self::Fixed => Policy::FIXED,
            Self::FirstCall => Policy::FirstCall,
            Self::Log => Policy::LOG,
            Self::LogCounting => Policy::LOG_COUNTING,
            Self::LogSeconds => Policy::Log { counting: false, seconds: true },
            Self::Counter => Policy::Counter,
            Self::Bucket => Policy::BUCKET,
            Self::SmallBucket => Policy::Bucket {
                sizes: vendor.enforced().iter().map(|limit| (limit.count() / 4).max(1)).collect(),
            },
        }
    }

    /// How many runs make a cell: as many as the vendor has phases to try, or three seeds where there is chance.
    pub(crate) fn runs(self, vendor: &Vendor, latency: Latency) -> u32 {
        match self {
            // Without optimisation the whole would take minutes.
            Self::Fixed | Self::Counter if cfg!(debug_assertions) => 3,
            _ if cfg!(debug_assertions) => 1,
            Self::Fixed | Self::Counter => vendor.phases,
            // Only the phase within a second matters.
            Self::LogSeconds => 5,
            _ if latency == Latency::Zero => 1,
            _ => 3,
        }
    }
}

impl Guarding {
    /// What the matrix tries.
    pub(crate) const TRIED: [Self; 3] = [Self::Strict, Self::Auto, Self::AutoTold];

    pub(crate) fn guard(self) -> Guard {
        match self {
            Self::Strict => Guard::Strict,
            Self::Auto | Self::AutoTold => Guard::Auto,
            Self::Fixed(bound) => Guard::Fixed(bound),
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Auto => "auto",
            Self::AutoTold => "auto, told",
            Self::Fixed(_) => "fixed",
        }
    }
}

impl Latency {
    pub(crate) const ALL: [Self; 5] =
        [Self::Zero, Self::Uniform, Self::HeavyTail, Self::Slow, Self::Quick];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zero => "none",
            Self::Uniform => "net 20..400 ms",
            Self::HeavyTail => "net 40 ms + exp 60 ms, 1 % spikes to 2 s",
            Self::Slow => "net 1..15 ms, service 30 s",
            Self::Quick => "net 1..15 ms, service 20 ms",
        }
    }

    /// How far the longest way to the vendor lies above the shortest.
    pub(crate) fn jitter(self) -> Duration {
        Duration::from_millis(match self {
            Self::Zero => 0,
            Self::Uniform => 380,
            Self::HeavyTail => 20 * 60 + 2_000,
            Self::Slow | Self::Quick => 14,
        })
    }
}

/// The delays of one run.
#[derive(Debug)]
pub(crate) struct Delays {
    random: Random,
    net: Law,
    tail: Law,
    /// One in a hundred ways takes this much longer.
    spike: Law,
    service: Duration,
}

impl Delays {
    pub(crate) fn new(latency: Latency, run: u32) -> Self {
        let (net, tail, spike, service_ms) = match latency {
            Latency::Zero => ("0", "0", "0", 0),
            Latency::Uniform => ("20..400", "0", "0", 0),
            Latency::HeavyTail => ("40", "exp:60", "0..2000", 0),
            Latency::Slow => ("1..15", "0", "0", 30_000),
            Latency::Quick => ("1..15", "0", "0", 20),
        };
        Self {
            random: Random::seeded(u64::from(run) + 1),
            net: net.parse().unwrap(),
            tail: tail.parse().unwrap(),
            spike: spike.parse().unwrap(),
            service: Duration::from_millis(service_ms),
        }
    }

    /// One way through the network.
    pub(crate) fn way(&self) -> Duration {
        let mut way = self.net.draw(&self.random);
        if !self.tail.is_zero() {
            way += self.tail.draw(&self.random);
        }
        if !self.spike.is_zero() && self.random.unit() < 0.01 {
            way += self.spike.draw(&self.random);
        }
        way
    }

    pub(crate) fn service(&self) -> Duration {
        self.service
    }
}

impl Case {
    /// When the first call is wanted. The vendor's windows begin at its clock's zero, so this is their phase: spread
    /// evenly over the longest one, and (by the golden ratio) over the shorter ones too.
    pub(crate) fn start(&self) -> Tick {
        const GOLDEN: f64 = 0.618_033_988_749_895;
        let step = f64::from(self.run) + (f64::from(self.run) * GOLDEN).fract();
        let share = step / f64::from(self.vendor.phases);
        Tick::SYSTEM_START + self.vendor.longest_window().mul_f64(share)
    }
}
