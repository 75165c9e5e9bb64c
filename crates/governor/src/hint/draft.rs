//! The IETF's `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), every draft that servers send:
//!
//! ```text
//! RateLimit-Limit: 10, 10;w=1, 1000;w=3600                                     up to -06, policies in the limit's field
//! RateLimit: limit=100, remaining=50, reset=5     RateLimit-Policy: 100;w=60                                 -07
//! RateLimit: "hour";r=50;t=30                     RateLimit-Policy: "hour";q=100;w=3600;pk=:YWJj:         -08 to -10
//! RateLimit: "hour";a=50;w=30                                        the editors' plan after -10 (pull request 164)
//! ```
//!
//! A field says where a quota stands, a policy says what it is; here they are joined.

use std::time::Duration;

use paceline_clock::Timestamp;

use super::field::{Field, Fields};
use super::quota::{Quota, QuotaName, QuotaUnit, Quotas};
use super::structured::{Member, members};
use super::time;

/// Of more policies or standings only the first are read.
const ITEMS_MAX: usize = 16;

/// Where a quota stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing<'h> {
    /// Drafts up to -07 have none.
    pub(super) name: Option<&'h str>,
    pub(super) partition: Option<&'h str>,
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    pub(super) reset: Option<Duration>,
}

/// What a quota is.
#[derive(Clone, Copy, Debug)]
struct Policy<'h> {
    name: Option<&'h str>,
    partition: Option<&'h str>,
    count: Option<u64>,
    window: Option<Duration>,
    /// `None`: of something that a limiter of calls and tokens has no use for (bytes, calls at the same time).
    unit: Option<QuotaUnit>,
    joined: bool,
}

/// The policies of a response.
#[derive(Debug, Default)]
pub(super) struct Policies<'h>(Vec<Policy<'h>>);

impl<'h> Policies<'h> {
    /// From every `RateLimit-Policy` of the response.
    pub(super) fn gather(fields: &Fields<'h>) -> Self {
        let mut policies = Self::default();
        for member in fields.all(Field::Policy).filter_map(members).flatten() {
            policies.add(&member);
        }
        policies
    }

    /// Adds a policy: a named one with a `q` (from -08), or a bare number.
    pub(super) fn add(&mut self, member: &Member<'h>) {
        let bare = time::count(member.value);
        let policy = Policy {
            name: bare.is_none().then_some(member.value),
            partition: member.param("pk"),
            count: member.param("q").and_then(time::count).or(bare),
            // WHOOP writes `100;window=60` ("API Rate Limiting").
            window: member.param("w").or(member.param("window")).and_then(window),
            unit: member.param("qu").map_or(Some(QuotaUnit::Requests), unit),
            joined: false,
        };
        let usable = member.key.is_none() && policy.count.is_some();
        if usable && self.0.len() < ITEMS_MAX {
            self.0.push(policy);
        }
    }

    /// The quota that stands so. `place` is its place among so many, for policies that have no name either.
    pub(super) fn join(&mut self, standing: &Standing<'_>, place: (usize, usize)) -> Option<Quota> {
        let policy = self.policy_of(standing, place).and_then(|at| self.0.get_mut(at));
        let mut quota = Quota {
            name: standing.name.map(QuotaName::new).unwrap_or_default(),
            // The draft's default.
            unit: QuotaUnit::Requests,
            limit: standing.limit,
            remaining: standing.remaining,
            reset: standing.reset,
            window: None,
        };
        if let Some(policy) = policy {
            policy.joined = true;
            quota.unit = policy.unit?;
            quota.limit = quota.limit.or(policy.count);
            quota.window = policy.window;
        }
        Some(quota)
    }

    fn policy_of(&self, standing: &Standing<'_>, (at, of): (usize, usize)) -> Option<usize> {
        let find = |wanted: &dyn Fn(&Policy<'_>) -> bool| self.0.iter().position(wanted);
        let unnamed = self.0.iter().all(|policy| policy.name.is_none());
        if standing.name.is_some() {
            return find(&|policy| {
                (policy.name, policy.partition) == (standing.name, standing.partition)
            })
            .or_else(|| find(&|policy| policy.name == standing.name))
            .or((unnamed && self.0.len() == of).then_some(at));
        }
        // Two policies may have one count (`10;w=1, 10;w=60`): a window is not shorter than what is left of it.
        let count =
            |policy: &Policy<'_>| standing.limit.is_some() && policy.count == standing.limit;
        find(&|policy| count(policy) && policy.window >= standing.reset)
            .or_else(|| find(&count))
            .or((self.0.len() == 1 && of == 1).then_some(0))
    }

    /// The policies of which nobody said where they stand.
    pub(super) fn rest(&self, quotas: &mut Quotas) {
        for policy in self.0.iter().filter(|policy| !policy.joined) {
            if let Some(unit) = policy.unit {
                quotas.push(Quota {
                    name: policy.name.map(QuotaName::new).unwrap_or_default(),
                    unit,
                    limit: policy.count,
                    window: policy.window,
                    ..Quota::default()
                });
            }
        }
    }
}

/// Reads every `RateLimit` of the response.
pub(super) fn read<'h>(
    fields: &Fields<'h>,
    base: Timestamp,
    policies: &mut Policies<'h>,
    quotas: &mut Quotas,
) {
    let lines = fields.all(Field::RateLimit).filter_map(members);
    let standings: Vec<_> = lines.flat_map(|line| standings(&line, base)).take(ITEMS_MAX).collect();
    for (place, standing) in standings.iter().enumerate() {
        if let Some(quota) = policies.join(standing, (place, standings.len())) {
            quotas.push(quota);
        }
    }
}

/// One, if the field is a dictionary (-07); else one for each item.
fn standings<'h>(line: &[Member<'h>], base: Timestamp) -> Vec<Standing<'h>> {
    if line.iter().all(|member| member.key.is_none()) {
        return line.iter().map(|member| named(member, base)).collect();
    }
    let value = |wanted: &str| {
        line.iter().rev().find(|member| member.key == Some(wanted)).map(|member| member.value)
    };
    vec![Standing {
        limit: value("limit").and_then(time::count),
        remaining: value("remaining").and_then(time::count),
        reset: value("reset").and_then(|text| time::reset(text, base)),
        ..Standing::default()
    }]
}

fn named<'h>(member: &Member<'h>, base: Timestamp) -> Standing<'h> {
    let available = member.param("a");
    // Beside `a` the time is `w`; beside `r`, `w` would be a policy's window in the wrong field.
    let until = member.param("t").or(available.and_then(|_| member.param("w")));
    Standing {
        name: Some(member.value),
        partition: member.param("pk"),
        limit: member.param("q").and_then(time::count),
        remaining: member.param("r").or(available).and_then(time::count),
        reset: until.and_then(|text| time::reset(text, base)),
    }
}

fn window(text: &str) -> Option<Duration> {
    time::seconds(text).filter(|window| !window.is_zero())
}

/// The draft's registry has `requests`, `content-bytes` and `concurrent-requests`; tokens go by their own names.
fn unit(text: &str) -> Option<QuotaUnit> {
    match text {
        "requests" => Some(QuotaUnit::Requests),
        _ if text.contains("token") => Some(QuotaUnit::Tokens),
        _ => None,
    }
}
