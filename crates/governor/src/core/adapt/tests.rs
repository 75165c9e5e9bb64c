//! What the share makes of refusals and good answers, step by step.

use super::*;

const HOLD: Duration = Duration::from_secs(60);

/// A refusal at this second with so many of 100 slots in use.
fn refused(at_s: u64, used: u64) -> RefusedAt {
    let now = Tick::from_millis(1_000_000 + at_s * 1_000);
    RefusedAt { now, slots: 100, used, hold: HOLD, explained: false }
}

/// Good answers until so much is back.
fn answers_to(share: &mut Share, wanted: f64) -> u64 {
    let good = |_: &u64| {
        share.good(100, true);
        share.get() >= wanted
    };
    (1..1_000_000).find(good).unwrap_or(0)
}

#[test]
fn the_first_recovery_is_quick_and_each_further_one_at_the_same_height_takes_twice_as_long() {
    let mut share = Share::default();
    share.cool_down(refused(0, 50));
    assert_eq!(share.get(), 0.5);
    assert_eq!(answers_to(&mut share, 0.6), 20, "half a slot each");
    let mut took = Vec::new();
    for minute in 1..5 {
        share.cool_down(refused(minute * 100, 60));
        // At once to four fifths of what was refused twice, and then slowly.
        let quick = answers_to(&mut share, if minute == 1 { 0.3 } else { 0.479 });
        assert!(quick <= 20, "{quick}");
        took.push(answers_to(&mut share, 0.6));
    }
    assert_eq!(took[1..].iter().map(|took| took / 10).collect::<Vec<_>>(), [4, 9, 19]);
}

#[test]
fn what_was_explained_comes_back_quickly_unless_that_did_not_help() {
    let explained = |at_s| RefusedAt { explained: true, ..refused(at_s, 100) };
    let mut share = Share::default();
    for minute in 0..4 {
        share.cool_down(explained(minute * 100));
        assert_eq!(answers_to(&mut share, 1.0), 100);
    }
    share.cool_down(explained(500));
    answers_to(&mut share, 0.7);
    share.cool_down(explained(600));
    answers_to(&mut share, 0.7);
    assert_eq!(share.streak(), 0);
    share.cool_down(explained(700));
    assert_eq!(share.streak(), 1, "refused at 0.7 with two plans");
}

#[test]
fn a_storm_on_an_empty_window_takes_half_of_it_a_minute_and_is_one_refusal() {
    let mut share = Share::default();
    for second in 0..59 {
        share.cool_down(refused(second, 1 + second / 8));
        assert_eq!(share.get(), 0.5, "after {second} s");
    }
    assert_eq!(share.streak(), 1);
    share.cool_down(refused(60, 8));
    assert_eq!(share.get(), 0.25);
    assert_eq!(answers_to(&mut share, 0.5), 13, "two slots each, up to half of what there were");
}

#[test]
fn a_storm_on_a_full_window_leaves_enough_for_a_call_that_finds_out_whether_it_is_over() {
    let mut share = Share::default();
    (0..50).for_each(|second| share.cool_down(refused(second, 100)));
    assert_eq!(share.get(), 0.125);
}

#[test]
fn refusals_at_every_height_are_no_limit_at_any() {
    let mut share = Share::default();
    for minute in 0..6 {
        share.cool_down(refused(minute * 100, 100));
        share.good(100, true);
    }
    assert_eq!(share.streak(), 1);
    assert!(answers_to(&mut share, 1.0) < 200);
}

#[test]
fn a_good_answer_to_a_call_from_before_the_refusal_ends_no_row() {
    let mut share = Share::default();
    share.cool_down(refused(0, 100));
    share.good(100, false);
    share.cool_down(refused(1, 100));
    assert_eq!((share.streak(), share.safe), (1, 0.5));
}

#[test]
fn never_below_one_slot_and_forgotten_in_time() {
    let mut share = Share::default();
    let few = |minute: u64| RefusedAt { slots: 8, ..refused(minute * 100, 8) };
    (0..10).for_each(|minute| share.cool_down(few(minute)));
    assert_eq!(share.get(), 1.0 / 8.0);
    (0..12_000).for_each(|_| {
        share.good(8, true);
    });
    assert_eq!((share.get(), share.streak()), (1.0, 0));
}
