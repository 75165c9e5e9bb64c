//! The entries of a fault law: what strikes, when, and how often. Every vendor of the lab has kinds of its own and shares the
//! rest.

use std::fmt;
use std::time::Duration;

use crate::ConfigError;

/// The most entries a fault law may have.
pub const FAULTS_MAX: usize = 32;

/// The kinds of fault that a vendor knows.
pub(crate) trait Kind: Copy + fmt::Debug + PartialEq + 'static {
    /// Every kind, in the order of the grammar.
    const KINDS: &'static [Self];
    /// How a law of these kinds is written and refused.
    const SYNTAX: Syntax;

    /// The word for it in a law and in the statistics.
    fn name(self) -> &'static str;

    /// The value if none is written; none if it takes no value.
    fn value_default(self) -> Option<u64>;
}

/// How a law of some kinds is written and refused.
pub(crate) struct Syntax {
    /// Whose law it is: `a Hex`.
    pub(crate) owner: &'static str,
    /// What the number behind `=` is.
    pub(crate) value: &'static str,
    pub(crate) value_max: u64,
    /// What is wrong with a value that cannot be read.
    pub(crate) value_wrong: &'static str,
    /// Whether `#N` may stand for a chance.
    pub(crate) numbered: bool,
    /// An entry and what is wrong with it.
    pub(crate) refuse: fn(text: String, reason: String) -> ConfigError,
}

/// A fault that has struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Struck<K> {
    pub(crate) kind: K,
    /// Seconds or milliseconds, where the kind takes some.
    pub(crate) value: u64,
}

/// One `KIND[=VALUE]:WHEN[@FROM..TO]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry<K> {
    pub(crate) fault: Struck<K>,
    pub(crate) when: When,
    pub(crate) from: Duration,
    pub(crate) to: Option<Duration>,
}

/// Which calls an entry is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Chance(f64),
    /// Numbers from 1 on, both ends included.
    Calls {
        first: u64,
        last: u64,
    },
}

/// A law: its entries in the order in which they are written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entries<K>(pub(super) Vec<Entry<K>>);

impl<K> Default for Entries<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Kind> Entry<K> {
    pub(crate) fn applies_at(&self, since_first_call: Duration) -> bool {
        self.from <= since_first_call && self.to.is_none_or(|to| since_first_call < to)
    }

    /// How often it strikes; never, if it goes by numbers.
    pub(crate) fn chance(&self) -> f64 {
        match self.when {
            When::Chance(chance) => chance,
            When::Calls { .. } => 0.0,
        }
    }
}

impl<K: Kind> Entries<K> {
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Entry<K>> {
        self.0.iter()
    }

    /// These and then those.
    ///
    /// # Errors
    /// If together they are more than [`FAULTS_MAX`].
    pub(crate) fn and(mut self, other: Self) -> Result<Self, ConfigError> {
        self.0.extend(other.0);
        match self.0.len() {
            ..=FAULTS_MAX => Ok(self),
            many => {
                let owner = K::SYNTAX.owner;
                let text = format!("{many} faults are too many; {owner} has at most {FAULTS_MAX}");
                Err(ConfigError::Together(text))
            }
        }
    }

    /// The first of those that strike a call so long after the first one. `strikes` is asked about every entry, so that one
    /// that strikes first does not shift the chances of the others.
    pub(crate) fn first(
        &self,
        since_first_call: Duration,
        mut strikes: impl FnMut(&Entry<K>) -> bool,
    ) -> Option<Struck<K>> {
        let mut struck = None;
        for entry in &self.0 {
            let strikes = strikes(entry);
            if strikes && entry.applies_at(since_first_call) && struck.is_none() {
                struck = Some(entry.fault);
            }
        }
        struck
    }
}
