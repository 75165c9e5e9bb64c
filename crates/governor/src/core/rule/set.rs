//! The rules of a budget together: made from its configuration, and which of them a vendor's refusal is about.

use std::time::Duration;

use paceline_clock::Tick;

use super::super::flights::Slot;
use super::super::learn::Cause;
use super::Rule;
use crate::config::{BudgetConfig, Shape};
use crate::guard::{Latency, WindowGuard};
use crate::limit::Unit;
use crate::window::Window;
use crate::{Guard, Limit};

/// The rules that keep a configuration: one per limit, and one more for a pace.
pub(in crate::core) fn rules(config: &BudgetConfig) -> Vec<Rule> {
    let mut rules: Vec<Rule> = config
        .limits
        .iter()
        .enumerate()
        .map(|(index, limit)| Rule::of(index, *limit, config))
        .collect();
    if config.shape == Shape::Paced
        && let Some((index, slowest)) = slowest(&config.limits)
    {
        let pace = slowest.window() / slowest.count();
        let guard = WindowGuard::new(pace_guard(config.guard), pace);
        rules.push(Rule::new(index, *slowest, Window::exact(1, pace), guard));
    }
    rules
}

/// A pace is kept from sending to sending unless the operator asked for more: what the guard would add to every single
/// interval, the windows behind it already hold.
fn pace_guard(guard: Guard) -> Guard {
    match guard {
        Guard::Auto => Guard::Fixed(Duration::ZERO),
        other => other,
    }
}

fn slowest(limits: &[Limit]) -> Option<(usize, &Limit)> {
    limits
        .iter()
        .enumerate()
        .filter(|(_, limit)| limit.unit() == Unit::Calls)
        .min_by(|a, b| a.1.rate_per_second().total_cmp(&b.1.rate_per_second()))
}

/// Which rule refused, most likely, and why: of the windows that the vendor's wait fits in, for nobody asks to wait longer
/// than its window, the shortest one with an explanation of its own; first of all one that is being tried, and last one whose
/// plan was changed just before, for that did not help.
pub(in crate::core) fn likely_refuser(
    rules: &[Rule],
    refused: (Slot, Tick),
    asked: Option<Duration>,
    latency: &Latency,
) -> Option<(usize, Cause)> {
    let wait = asked.unwrap_or_default();
    let causes = rules.iter().enumerate().map(|(index, rule)| {
        let cause = rule.cause(refused, asked, latency);
        let unexplained = cause == Cause::SomebodyElse;
        let trying = rule.learner.as_ref().is_some_and(|learner| learner.trying());
        let mended = rule.learner.as_ref().is_some_and(|learner| learner.mended());
        let rank = (rule.window.hold() < wait, unexplained, !trying, mended, rule.window.hold());
        (rank, index, cause)
    });
    causes.min_by_key(|(rank, ..)| *rank).map(|(_, index, cause)| (index, cause))
}
