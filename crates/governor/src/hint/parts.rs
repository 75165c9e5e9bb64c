//! Quotas that are told in several fields, one number each: `RateLimit-*` of the older IETF drafts, `X-RateLimit-*` in all
//! its dialects, and Anthropic's.

use std::time::Duration;

use paceline_clock::Timestamp;

use super::draft::{Policies, Standing};
use super::field::{Family, Field, Fields, Key, Part, window};
use super::quota::{Quota, QuotaName, Quotas};
use super::structured::{Member, members};
use super::time;

/// Of more quotas only the first are read.
const GROUPS_MAX: usize = 16;

/// What was said so far about one quota.
struct Group<'h> {
    key: Key,
    name: QuotaName,
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Duration>,
    reset_after: Option<Duration>,
    window: Option<Duration>,
    /// Policies after the limit, as the drafts up to -04 have them.
    policies: Vec<Member<'h>>,
}

/// Reads every quota of the response that is told in parts.
pub(super) fn read<'h>(
    fields: &Fields<'h>,
    base: Timestamp,
    policies: &mut Policies<'h>,
    quotas: &mut Quotas,
) {
    let mut groups: Vec<Group<'h>> = Vec::new();
    for (field, value) in fields.iter() {
        let Field::Part(key, part) = field else { continue };
        if let Some(group) = group_of(&mut groups, key) {
            group.take(part, value, base);
        }
    }
    for group in groups {
        // Only the IETF's own fields speak of the policies in `RateLimit-Policy`.
        let ietf = group.key.family == Family::Plain && group.key.subject.is_empty();
        let mut own = Policies::default();
        group.tell(if ietf { policies } else { &mut own }, quotas);
        own.rest(quotas);
    }
}

fn group_of<'g, 'h>(groups: &'g mut Vec<Group<'h>>, key: Key) -> Option<&'g mut Group<'h>> {
    let at = groups.iter().position(|group| group.key == key).unwrap_or(groups.len());
    if at == groups.len() && at < GROUPS_MAX {
        groups.push(Group::new(key));
    }
    groups.get_mut(at)
}

impl<'h> Group<'h> {
    fn new(key: Key) -> Self {
        Self {
            key,
            name: key.subject,
            limit: None,
            remaining: None,
            reset: None,
            reset_after: None,
            window: key.window(),
            policies: Vec::new(),
        }
    }

    /// Takes one number. If a proxy and the vendor both say one, the more careful of the two counts.
    fn take(&mut self, part: Part, value: &'h str, base: Timestamp) {
        match part {
            Part::Limit => {
                // `100`, or `100, 100;w=60`; a key before the number is somebody's name for it.
                let mut members = members(value).unwrap_or_default().into_iter();
                let limit = members.find(|member| member.key.is_none());
                let Some(limit) = limit else { return };
                self.limit = least(self.limit, time::count(limit.value));
                self.window = self.window.or(limit.param("w").and_then(time::seconds));
                self.policies.extend(members);
            }
            Part::Remaining => self.remaining = least(self.remaining, time::count(value)),
            Part::Reset => self.reset = self.reset.max(time::reset(value, base)),
            Part::ResetAfter => {
                let wait = time::seconds(value).or_else(|| time::go_duration(value));
                self.reset_after = self.reset_after.max(wait);
            }
            Part::Window => self.window = window(value).or_else(|| time::seconds(value)),
            // A subject tells more, and the response's other quotas may share the resource.
            Part::Name if self.key.subject.is_empty() => self.name = QuotaName::new(value),
            Part::Name => {}
        }
    }

    fn tell(&self, policies: &mut Policies<'h>, quotas: &mut Quotas) {
        for policy in &self.policies {
            policies.add(policy);
        }
        let standing = Standing {
            limit: self.limit,
            remaining: self.remaining,
            // Needs no clock, so it is believed first.
            reset: self.reset_after.or(self.reset),
            ..Standing::default()
        };
        if let Some(joined) = policies.join(&standing, (0, 1)) {
            quotas.push(Quota {
                name: self.name,
                unit: self.key.unit(),
                window: self.window.filter(|window| !window.is_zero()).or(joined.window),
                ..joined
            });
        }
    }
}

fn least(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
