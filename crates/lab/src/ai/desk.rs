//! The moments at which a call is counted and at which it is done. One lock, one order of all calls.

use paceline_clock::Tick;
use serde_json::Value;

use super::AiVendor;
use super::books::Desk;
use super::config::AiConfig;
use super::dialect::{AiDialect, Ask, Lefts, Operation, Problem, Told};
use super::fault::{AiFault, AiFaultKind, AiFaultLaw};
use super::request::{AiAnswer, AiRequest};
use super::say::{at_once, say};
use super::stats::AiDialectStats;
use crate::fault::Kind as _;
use crate::hints::Headers;
use crate::stats::{KeyHash, Sighting};
use crate::wire::{Outcome, Told as Sent};

/// What is listed where any model is good.
const MODEL_DEFAULT: &str = "lab-large";
/// Everything that changes.
#[derive(Debug)]
pub(super) struct World {
    faults: AiFaultLaw,
    calls: u64,
    desks: [Desk; AiDialect::ALL.len()],
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
        self.desks[dialect as usize].told()
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

fn reply(status: u16, headers: Headers, body: &Value) -> AiAnswer {
    Sent::json(status, body).with(headers)
}
