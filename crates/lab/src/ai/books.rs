//! One vendor's books: what its limits were charged, and what it has seen.

use std::time::Duration;

use paceline_clock::Tick;

use super::answer::ai_tokens;
use super::config::AiConfig;
use super::dialect::{AiDialect, Ask, Counts, Left, Lefts, Problem, TooMany};
use super::meter::Meter;
use super::stats::AiDialectStats;
use crate::LimitStats;

/// See the module.
#[derive(Debug)]
pub(super) struct Desk {
    requests: Vec<Meter>,
    tokens: Vec<Meter>,
    pub(super) first_call: Option<Tick>,
    pub(super) last_call: Option<Tick>,
    pub(super) stats: AiDialectStats,
}

impl Desk {
    pub(super) fn new(config: &AiConfig) -> Self {
        let meters = |limits: &[crate::Limit]| {
            limits.iter().map(|limit| Meter::new(*limit, config.policy)).collect()
        };
        Self {
            requests: meters(&config.requests),
            tokens: meters(&config.tokens),
            first_call: None,
            last_call: None,
            stats: AiDialectStats::default(),
        }
    }

    /// Charges a call against every limit, or says which one refuses it; of several, the one that refuses longest.
    fn pass(&mut self, now: u64, tokens: u64) -> Result<(), TooMany> {
        let never = Duration::from_secs(60);
        let requests = self.requests.iter().map(|meter| (Counts::Requests, meter, 1));
        let all = requests.chain(self.tokens.iter().map(|meter| (Counts::Tokens, meter, tokens)));
        let refusals = all.filter_map(|(counts, meter, requested)| {
            let wait = match meter.opens_at(now, requested) {
                Some(at) if at <= now => return None,
                Some(at) => Duration::from_nanos(at - now),
                None => never,
            };
            let limit = meter.limit().count();
            let used = limit.saturating_sub(meter.remaining(now));
            Some(TooMany { counts, limit, used, requested, wait })
        });
        if let Some(refusal) = refusals.max_by_key(|refusal| refusal.wait) {
            return Err(refusal);
        }
        self.requests.iter_mut().for_each(|meter| meter.charge(now, 1));
        self.tokens.iter_mut().for_each(|meter| meter.charge(now, tokens));
        Ok(())
    }

    /// Charges a question what it may take; answers how many tokens that are.
    pub(super) fn charge(
        &mut self,
        dialect: AiDialect,
        ask: &Ask,
        now: Tick,
    ) -> Result<u64, Problem> {
        let output_max = if dialect.counts_output() { ask.output_max.unwrap_or(0) } else { 0 };
        let reserved = ai_tokens(&ask.input) + output_max;
        self.pass(now.as_nanos(), reserved).map_err(Problem::TooMany)?;
        Ok(reserved)
    }

    /// Charges a call that is done what it took.
    pub(super) fn settle(&mut self, now: Tick, (charged_at, reserved): (Tick, u64), taken: u64) {
        let (now, charged_at) = (now.as_nanos(), charged_at.as_nanos());
        self.requests.iter_mut().for_each(|meter| meter.settle(now, charged_at, 1, 1));
        self.tokens.iter_mut().for_each(|meter| meter.settle(now, charged_at, reserved, taken));
    }

    /// Counts a call that got no further.
    pub(super) fn note(&mut self, problem: &Problem) {
        match problem {
            Problem::NoKey | Problem::BadKey => self.stats.unauthorized += 1,
            Problem::TooMany(refusal) => {
                self.stats.refused += 1;
                self.stats.refused_for_tokens += u64::from(refusal.counts == Counts::Tokens);
            }
            _ => self.stats.invalid += 1,
        }
    }

    pub(super) fn lefts(&self, now: u64) -> Lefts {
        let left = |meters: &[Meter]| {
            let tightest = meters.iter().min_by_key(|meter| meter.remaining(now))?;
            Some(Left {
                limit: tightest.limit().count(),
                remaining: tightest.remaining(now),
                reset: tightest.clear_in(now),
            })
        };
        Lefts { requests: left(&self.requests), tokens: left(&self.tokens) }
    }

    /// What it has seen.
    pub(super) fn told(&self) -> AiDialectStats {
        let told = |meter: &Meter| LimitStats {
            limit: meter.limit().to_string(),
            window_ms: u64::try_from(meter.limit().window().as_millis()).unwrap_or(u64::MAX),
            busiest: meter.busiest(),
        };
        AiDialectStats {
            requests: self.requests.iter().map(told).collect(),
            tokens: self.tokens.iter().map(told).collect(),
            first_call_ms: self.first_call.map(Tick::as_millis),
            last_call_ms: self.last_call.map(Tick::as_millis),
            ..self.stats.clone()
        }
    }
}
