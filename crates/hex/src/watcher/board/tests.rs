//! Tables: what is looked at next, and when.

use super::*;

fn at(millis: u64) -> Tick {
    Tick::from_millis(millis)
}

fn id(name: &str) -> RunId {
    RunId(name.to_owned())
}

fn run(name: &str, status: &str) -> Run {
    serde_json::from_value(serde_json::json!({"runId": name, "status": status})).unwrap()
}

fn limits(texts: &[&str]) -> Vec<Limit> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// One look per 2.5 s, each run every 5 s: Hex's own limits.
fn board() -> Board {
    let reads = limits(&["30/min", "1800/h"]);
    Board::new(Pace::new(Duration::from_secs(5), &reads, &limits(&["60/min"])))
}

#[test]
fn the_pace_leaves_room_in_every_limit() {
    let gap = |reads: &[&str], overall: &[&str]| {
        Pace::new(Duration::from_secs(5), &limits(reads), &limits(overall)).gap.as_millis()
    };
    assert_eq!(gap(&["30/min", "1800/h"], &["60/min"]), 2_500);
    assert_eq!(gap(&["30/min", "360/h"], &[]), 12_500);
    assert_eq!(gap(&["60/min"], &["60/min"]), 2_000, "half of the overall limit stays free");
    assert_eq!(gap(&[], &[]), 0);
}

#[test]
fn one_run_by_itself_two_of_a_project_with_one_listing() {
    let mut board = board();
    assert_eq!(board.next(), None);
    let _a = board.join("p", &id("a"), at(5_000));
    assert_eq!(board.next(), Some((at(5_000), Target::Status("p".to_owned(), id("a")))));
    let _b = board.join("p", &id("b"), at(9_000));
    let both = Target::List("p".to_owned(), vec![id("a"), id("b")]);
    assert_eq!(board.next(), Some((at(5_000), both.clone())));
    let _c = board.join("q", &id("c"), at(1_000));
    let third = Target::Status("q".to_owned(), id("c"));
    assert_eq!(board.next(), Some((at(1_000), third.clone())));

    board.begin(&third, at(1_000));
    assert_eq!(
        board.next(),
        Some((at(5_000), both.clone())),
        "what is under way is not asked twice"
    );
    board.begin(&both, at(5_000));
    assert_eq!(board.next(), None);
    board.seen(&third, &[run("c", "RUNNING")], at(5_100));
    assert_eq!(board.next(), Some((at(10_100), third)));
    board.leave("q", &id("c"));
    board.leave("p", &id("a"));
    board.leave("p", &id("b"));
    assert!(board.is_empty());
}

#[test]
fn looks_are_apart_and_the_interval_is_stretched_for_many() {
    let mut board = board();
    for n in 0..20 {
        let _ = board.join(&format!("p{n:02}"), &id("r"), at(0));
    }
    let mut now = at(0);
    let mut looks = Vec::new();
    while now < at(600_000) {
        let (when, target) = board.next().unwrap();
        now = now.max(when);
        looks.push((now, target.clone()));
        board.begin(&target, now);
        board.seen(&target, &[run("r", "RUNNING")], now);
    }
    assert!(looks.windows(2).all(|pair| pair[1].0 - pair[0].0 >= Duration::from_millis(2_500)));
    for n in 0..20 {
        let project = format!("p{n:02}");
        let times = looks.iter().filter(|(_, target)| target.runs().0 == project).count();
        assert!((11..=13).contains(&times), "{project}: {times} looks in 600 s");
    }
}

#[test]
fn a_run_that_a_listing_does_not_show_is_looked_at_by_itself() {
    let mut board = board();
    let mut receivers = ["a", "b", "c"].map(|name| board.join("p", &id(name), at(0)));
    let (_, all) = board.next().unwrap();
    board.begin(&all, at(0));
    board.seen(&all, &[run("a", "RUNNING"), run("b", "COMPLETED"), run("x", "RUNNING")], at(100));
    assert!(matches!(&*receivers[1].borrow_and_update(), News::Seen(run) if run.run_id == id("b")));
    assert!(matches!(&*receivers[2].borrow_and_update(), News::None));
    let alone = Target::Status("p".to_owned(), id("c"));
    assert_eq!(board.next(), Some((at(2_500), alone.clone())));
    board.begin(&alone, at(2_500));
    board.seen(&alone, &[run("c", "PENDING")], at(2_600));
    assert_eq!(board.count(), (2, 1));
    let (_, target) = board.next().unwrap();
    assert!(matches!(target, Target::List(_, ids) if ids.len() == 3));
}

#[test]
fn a_look_that_fails_comes_back_later_and_later_and_tells_only_of_what_is_gone() {
    let mut board = board();
    let mut news = board.join("p", &id("a"), at(0));
    let target = Target::Status("p".to_owned(), id("a"));
    let mut due = Vec::new();
    for _ in 0..7 {
        board.begin(&target, at(0));
        board.failed(&target, None, at(0));
        due.push(board.next().unwrap().0.as_millis() / 1_000);
    }
    assert_eq!(due, [5, 10, 20, 40, 80, 80, 80]);
    assert!(!news.has_changed().unwrap());
    board.failed(&target, Some("404"), at(0));
    assert!(matches!(&*news.borrow_and_update(), News::Gone(text) if text == "404"));
    board.no_credentials("401", at(0));
    assert!(matches!(&*news.borrow_and_update(), News::NoCredentials(_)));
}

#[test]
fn two_jobs_may_wait_for_one_run() {
    let mut board = board();
    let _first = board.join("p", &id("a"), at(9_000));
    let _second = board.join("p", &id("a"), at(1_000));
    assert_eq!(board.next().unwrap().0, at(1_000));
    board.leave("p", &id("a"));
    assert!(!board.is_empty());
    board.leave("p", &id("a"));
    assert!(board.is_empty());
}
