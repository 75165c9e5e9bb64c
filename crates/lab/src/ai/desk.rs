//! The moments at which a call is counted and at which it is done. One lock, one order of all calls.

use std::time::Duration;

use hyper::HeaderMap;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use paceline_clock::Tick;
use serde_json::Value;

use super::answer::{ai_text, ai_tokens, ai_value};
use super::config::AiConfig;
use super::dialect::{
    AiDialect, Ask, Counts, End, Left, Lefts, Operation, Problem, Said, Told, TooMany,
};
use super::fault::{AiFault, AiFaultKind, AiFaultLaw};
use super::meter::Meter;
use super::request::{AiAnswer, AiRequest};
use super::stats::AiDialectStats;
use super::{AiVendor, Outcome};
use crate::LimitStats;
use crate::hints::Headers;
use crate::stats::{KeyHash, Sighting};

/// What is listed where any model is good.
const MODEL_DEFAULT: &str = "lab-large";
/// A garbled answer.
const GARBLED: &str = "Sure! Here is the JSON you asked for";

/// Everything that changes.
#[derive(Debug)]
pub(super) struct World {
    faults: AiFaultLaw,
    calls: u64,
    desks: [Desk; AiDialect::ALL.len()],
}

/// One vendor's books.
#[derive(Debug)]
struct Desk {
    requests: Vec<Meter>,
    tokens: Vec<Meter>,
    first_call: Option<Tick>,
    last_call: Option<Tick>,
    stats: AiDialectStats,
}

/// What becomes of a call on its arrival.
pub(super) enum Arrived {
    Told(AiAnswer),
    Admitted(Box<Admitted>),
}

/// A call that passed the limits.
pub(super) struct Admitted {
    pub(super) dialect: AiDialect,
    ask: Ask,
    fault: Option<AiFault>,
    at: Tick,
    reserved: u64,
    lefts: Lefts,
    id: u64,
}

impl World {
    pub(super) fn new(config: &AiConfig) -> Self {
        Self {
            faults: config.faults.clone(),
            calls: 0,
            desks: std::array::from_fn(|_| Desk::new(config)),
        }
    }

    pub(super) fn faults(&self) -> &AiFaultLaw {
        &self.faults
    }

    pub(super) fn set_faults(&mut self, law: AiFaultLaw) {
        self.faults = law;
    }

    pub(super) fn busy(&mut self, dialect: AiDialect, now: u64) {
        let most = &mut self.desks[dialect as usize].stats.in_flight_max;
        *most = now.max(*most);
    }

    pub(super) fn stats(&self, dialect: AiDialect) -> AiDialectStats {
        let desk = &self.desks[dialect as usize];
        let told = |meter: &Meter| LimitStats {
            limit: meter.limit().to_string(),
            window_ms: u64::try_from(meter.limit().window().as_millis()).unwrap_or(u64::MAX),
            busiest: meter.busiest(),
        };
        AiDialectStats {
            requests: desk.requests.iter().map(told).collect(),
            tokens: desk.tokens.iter().map(told).collect(),
            first_call_ms: desk.first_call.map(Tick::as_millis),
            last_call_ms: desk.last_call.map(Tick::as_millis),
            ..desk.stats.clone()
        }
    }
}

impl Desk {
    fn new(config: &AiConfig) -> Self {
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
    fn charge(&mut self, dialect: AiDialect, ask: &Ask, now: Tick) -> Result<u64, Problem> {
        let output_max = if dialect.counts_output() { ask.output_max.unwrap_or(0) } else { 0 };
        let reserved = ai_tokens(&ask.input) + output_max;
        self.pass(now.as_nanos(), reserved).map_err(Problem::TooMany)?;
        Ok(reserved)
    }

    /// Charges a call that is done what it took.
    fn settle(&mut self, now: Tick, (charged_at, reserved): (Tick, u64), taken: u64) {
        let (now, charged_at) = (now.as_nanos(), charged_at.as_nanos());
        self.requests.iter_mut().for_each(|meter| meter.settle(now, charged_at, 1, 1));
        self.tokens.iter_mut().for_each(|meter| meter.settle(now, charged_at, reserved, taken));
    }

    /// Counts a call that got no further.
    fn note(&mut self, problem: &Problem) {
        match problem {
            Problem::NoKey | Problem::BadKey => self.stats.unauthorized += 1,
            Problem::TooMany(refusal) => {
                self.stats.refused += 1;
                self.stats.refused_for_tokens += u64::from(refusal.counts == Counts::Tokens);
            }
            _ => self.stats.invalid += 1,
        }
    }

    fn lefts(&self, now: u64) -> Lefts {
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
}

impl AiVendor {
    /// A call arrives now.
    pub(super) fn arrive(&self, request: &AiRequest) -> Arrived {
        let dialect = AiDialect::of(request);
        let mut world = self.world();
        // Read inside the lock, so that arrivals are in order.
        let now = self.now();
        world.calls += 1;
        let id = world.calls;
        let World { faults, desks, .. } = &mut *world;
        let desk = &mut desks[dialect as usize];
        let first_call = *desk.first_call.get_or_insert(now);
        desk.last_call = Some(now);
        let told = self.admit(dialect, request).and_then(|ask| match ask {
            None => Ok(None),
            Some(ask) => desk.charge(dialect, &ask, now).map(|reserved| Some((ask, reserved))),
        });
        let lefts = desk.lefts(now.as_nanos());
        let problem = |problem: &Problem| Arrived::Told(self.problem(dialect, problem, lefts, id));
        let (ask, reserved) = match told {
            Ok(Some(admitted)) => admitted,
            Ok(None) => {
                let body = dialect.models(&self.models());
                return Arrived::Told(reply(200, Headers::new(), &body));
            }
            Err(refused) => {
                desk.note(&refused);
                return problem(&refused);
            }
        };
        desk.stats.accepted += 1;
        let fault = faults.draw(now - first_call, &self.chance.faults);
        if let Some(fault) = fault {
            *desk.stats.faults.entry(fault.kind.name()).or_default() += 1;
            if let Some(told) = at_once(fault) {
                desk.settle(now, (now, reserved), 0);
                return problem(&told);
            }
        }
        Arrived::Admitted(Box::new(Admitted { dialect, ask, fault, at: now, reserved, lefts, id }))
    }

    /// The key, then the request itself. None: the models are asked for.
    fn admit(&self, dialect: AiDialect, request: &AiRequest) -> Result<Option<Ask>, Problem> {
        let key = dialect.key(request).ok_or(Problem::NoKey)?;
        let AiConfig { keys, models, .. } = self.config();
        if !keys.is_empty() && keys.iter().all(|known| known != key) {
            return Err(Problem::BadKey);
        }
        if AiDialect::operation(request)? == Operation::ListModels {
            return Ok(None);
        }
        let ask = dialect.read(request)?;
        if !models.is_empty() && !models.contains(&ask.model) {
            return Err(Problem::NoModel(ask.model));
        }
        Ok(Some(ask))
    }

    /// An admitted call is done now.
    pub(super) fn leave(&self, call: &Admitted) -> Outcome {
        let Admitted { dialect, ask, fault, at, reserved, lefts, id } = call;
        let mut world = self.world();
        let now = self.now();
        let desk = &mut world.desks[*dialect as usize];
        let kind = fault.map(|fault| fault.kind);
        if kind == Some(AiFaultKind::Internal) {
            desk.settle(now, (*at, *reserved), 0);
            return Outcome::Answer(self.problem(*dialect, &Problem::Internal, *lefts, *id));
        }
        let said = say(ask, kind);
        let output = if dialect.counts_output() { said.output_tokens } else { 0 };
        let taken = if self.config.settles { said.input_tokens + output } else { *reserved };
        desk.settle(now, (*at, *reserved), taken);
        desk.stats.served += 1;
        desk.stats.input_tokens += said.input_tokens;
        desk.stats.output_tokens += said.output_tokens;
        if self.prompts[*dialect as usize].served(KeyHash::of(ask.input.as_bytes()))
            == Sighting::Again
        {
            desk.stats.repeated += 1;
        }
        match kind {
            Some(AiFaultKind::Hang) => Outcome::Hang,
            Some(AiFaultKind::Drop) => Outcome::Answer(AiAnswer::Dropped),
            _ => {
                let headers = dialect.headers(*lefts, self.wall());
                Outcome::Answer(reply(200, headers, &dialect.answer(ask, &said, *id)))
            }
        }
    }

    fn problem(&self, dialect: AiDialect, problem: &Problem, lefts: Lefts, id: u64) -> AiAnswer {
        let Told { status, mut headers, body } = dialect.error(problem, id);
        headers.extend(dialect.headers(lefts, self.wall()));
        reply(status, headers, &body)
    }

    fn models(&self) -> Vec<String> {
        match self.config.models.as_slice() {
            [] => vec![MODEL_DEFAULT.to_owned()],
            named => named.to_vec(),
        }
    }
}

/// What a fault says before the vendor works on the call, if it is of that kind.
fn at_once(fault: AiFault) -> Option<Problem> {
    Some(match fault.kind {
        AiFaultKind::TooMany => {
            let wait = Duration::from_secs(fault.seconds.into());
            let counts = Counts::Requests;
            Problem::TooMany(TooMany { counts, limit: 1, used: 1, requested: 1, wait })
        }
        AiFaultKind::Quota => Problem::Quota,
        AiFaultKind::Unauthorized => Problem::BadKey,
        AiFaultKind::Overloaded => Problem::Overloaded,
        _ => return None,
    })
}

/// What the model says, after what a fault makes of it.
fn say(ask: &Ask, fault: Option<AiFaultKind>) -> Said {
    let text = match &ask.shape {
        None => ai_text(&ask.prompt),
        Some(_) if fault == Some(AiFaultKind::Garbled) => GARBLED.to_owned(),
        Some(_) if fault == Some(AiFaultKind::Misshapen) => r#"{"other":[]}"#.to_owned(),
        Some(shape) => ai_value(&shape.schema, &ask.prompt).to_string(),
    };
    let (most, end) = match fault {
        Some(AiFaultKind::Refusal) => (0, End::Refusal),
        Some(AiFaultKind::Blocked) => (0, End::Blocked),
        Some(AiFaultKind::Empty) => (0, End::Whole),
        Some(AiFaultKind::Length) => (ai_tokens(&text) / 2, End::Length),
        _ => match ask.output_max {
            Some(most) if most < ai_tokens(&text) => (most, End::Length),
            _ => (u64::MAX, End::Whole),
        },
    };
    let chars = usize::try_from(most.saturating_mul(4)).unwrap_or(usize::MAX);
    let text: String = text.chars().take(chars).collect();
    let (input_tokens, output_tokens) = (ai_tokens(&ask.input), ai_tokens(&text));
    Said { text, end, input_tokens, output_tokens }
}

fn reply(status: u16, told: Headers, body: &Value) -> AiAnswer {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in told {
        // Digits, durations and dates: every value is valid.
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    AiAnswer::Reply { status, headers, body: Bytes::from(body.to_string()) }
}
