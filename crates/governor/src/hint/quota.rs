//! One quota as a vendor tells it, and the few that fit into one response's hints.

use std::fmt;
use std::time::Duration;

/// What a quota counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QuotaUnit {
    /// Calls.
    Requests,
    /// Tokens of a language model: input, output, or both.
    Tokens,
    /// Something that its name does not tell.
    #[default]
    Unknown,
}

/// Where one quota stands. What the vendor did not say, or said in a way nobody can read, is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// What the vendor calls it; empty if it has no name. The same quota has the same name in the next response.
    pub name: QuotaName,
    /// What it counts.
    pub unit: QuotaUnit,
    /// How many units a window holds; zero if the vendor says so.
    pub limit: Option<u64>,
    /// How many units are left.
    pub remaining: Option<u64>,
    /// From the moment the response's head was seen until there is more: all of it, or a part.
    pub reset: Option<Duration>,
    /// How long a window is. Never zero.
    pub window: Option<Duration>,
}

impl Quota {
    /// Whether it tells anything that a limiter could use.
    pub(super) fn says_something(&self) -> bool {
        let counts = self.limit.is_some() || self.remaining.is_some();
        // Azure OpenAI has sent -1, -1 and a reset of 0 for "no idea".
        let only_reset =
            self.unit != QuotaUnit::Unknown && self.reset.is_some_and(|at| !at.is_zero());
        counts || only_reset
    }

    /// The tightest comes first: least left, then least at all.
    fn slackness(&self) -> (u64, u64) {
        (self.remaining.unwrap_or(u64::MAX), self.limit.unwrap_or(u64::MAX))
    }
}

/// A quota's name, at most [`QuotaName::BYTES_MAX`] visible ASCII characters, kept in place.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct QuotaName {
    bytes: [u8; Self::BYTES_MAX],
    len: u8,
}

impl QuotaName {
    /// A longer name is cut here.
    pub const BYTES_MAX: usize = 32;

    /// The visible ASCII characters of `text`, as many as fit.
    pub(super) fn new(text: &str) -> Self {
        let mut name = Self::default();
        let visible = text.bytes().filter(|byte| byte.is_ascii_graphic() || *byte == b' ');
        for (place, byte) in name.bytes.iter_mut().zip(visible) {
            *place = byte;
            name.len += 1;
        }
        name
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII was let in, so this never is the empty default.
        self.bytes
            .get(..usize::from(self.len))
            .map_or("", |name| str::from_utf8(name).unwrap_or(""))
    }

    /// Whether the quota has no name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl fmt::Debug for QuotaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for QuotaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The quotas of one response, at most [`Quotas::MAX`], in the order in which they were read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    items: [Quota; Self::MAX],
    len: u8,
}

impl Quotas {
    /// If a response tells of more, the tightest are kept: least left, then least at all.
    pub const MAX: usize = 6;

    /// One after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Quota> {
        self.as_slice().iter()
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Quota] {
        self.items.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a quota that says something and was not said before.
    pub(super) fn push(&mut self, quota: Quota) {
        if !quota.says_something() || self.as_slice().contains(&quota) {
            return;
        }
        if let Some(free) = self.items.get_mut(usize::from(self.len)) {
            *free = quota;
            self.len += 1;
        } else if let Some(slackest) = self.items.iter_mut().max_by_key(|held| held.slackness())
            && quota.slackness() < slackest.slackness()
        {
            *slackest = quota;
        }
    }

    pub(super) fn cap(&mut self, max: Duration) {
        for quota in &mut self.items {
            quota.reset = quota.reset.map(|reset| reset.min(max));
        }
    }
}

impl<'a> IntoIterator for &'a Quotas {
    type Item = &'a Quota;
    type IntoIter = std::slice::Iter<'a, Quota>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for Quotas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(remaining: u64) -> Quota {
        Quota { remaining: Some(remaining), ..Quota::default() }
    }

    #[test]
    fn of_too_many_quotas_the_tightest_stay() {
        let mut quotas = Quotas::default();
        for remaining in [9, 9, 50, 3, 8, 7, 6, 100, 5, 4] {
            quotas.push(left(remaining));
        }
        let kept: Vec<_> = quotas.iter().filter_map(|quota| quota.remaining).collect();
        assert_eq!(kept, [4, 5, 3, 8, 7, 6]);
    }

    #[test]
    fn what_says_nothing_is_not_kept() {
        let mut quotas = Quotas::default();
        quotas.push(Quota::default());
        quotas.push(Quota { window: Some(Duration::from_secs(60)), ..Quota::default() });
        quotas.push(Quota { reset: Some(Duration::from_secs(60)), ..Quota::default() });
        let zero = Some(Duration::ZERO);
        quotas.push(Quota { unit: QuotaUnit::Tokens, reset: zero, ..Quota::default() });
        assert!(quotas.is_empty(), "{quotas:?}");
    }

    #[test]
    fn names_are_cut_and_stripped_of_what_a_log_line_cannot_bear() {
        assert_eq!(QuotaName::new("per\r\nhour\u{1f600}").as_str(), "perhour");
        assert_eq!(QuotaName::new(&"x".repeat(99)).as_str(), "x".repeat(32));
        assert!(QuotaName::new("").is_empty());
    }
}
