//! Progress for a person: a bar on a terminal, a plain line now and then elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use paceline_clock::{Clock, Timestamp};
use paceline_engine::Progress;
use paceline_hex::Gauge;

use crate::output;

/// How often the bar is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows progress until dropped or aborted.
pub(crate) async fn show(clock: Clock, snapshot: impl Fn() -> Progress) {
    if output::is_terminal() {
        show_bar(&clock, snapshot).await;
    } else {
        let mut told = Told::default();
        loop {
            clock.sleep(LINE_EVERY).await;
            let progress = snapshot();
            told.news(&progress).iter().for_each(|line| output::note(line));
            let counts = progress.counts;
            output::note(&format!(
                "{}/{} {}",
                output::thousands(counts.ended()),
                output::thousands(counts.total),
                describe(&progress, clock.wall())
            ));
        }
    }
}

async fn show_bar(clock: &Clock, snapshot: impl Fn() -> Progress) {
    let bar =
        ProgressBar::with_draw_target(Some(snapshot().counts.total), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} {msg}") {
        bar.set_style(style);
    }
    let bar = Bar(bar);
    let mut told = Told::default();
    loop {
        let progress = snapshot();
        for line in told.news(&progress) {
            bar.0.suspend(|| output::note(&line));
        }
        bar.0.set_position(progress.counts.ended());
        bar.0.set_message(describe(&progress, clock.wall()));
        clock.sleep(DRAW_EVERY).await;
    }
}

/// Clears the bar when the showing ends, however it ends.
struct Bar(ProgressBar);

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The explanations of refusals that stand on the screen already.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    /// A line for each that is new.
    fn news(&mut self, progress: &Progress) -> Vec<String> {
        let new: Vec<String> =
            progress.explanations.iter().filter(|one| !self.0.contains(one)).cloned().collect();
        self.0.extend_from_slice(&new);
        let refused = progress.counts.throttled.max(1);
        new.iter().map(|explanation| format!("{refused} refused: {explanation}")).collect()
    }
}

fn describe(progress: &Progress, now: Timestamp) -> String {
    let counts = progress.counts;
    if let Some(jobs) = &progress.jobs {
        return describe_jobs(progress, jobs, now);
    }
    let mut parts = vec![
        format!("{:.1}/s", progress.rate_per_second),
        format!("{} in flight", progress.in_flight),
    ];
    let also =
        [(counts.failed, "failed"), (counts.unknown, "unknown"), (counts.throttled, "refused")];
    parts.extend(
        also.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")),
    );
    if let Some((wait_ms, reason)) =
        progress.waiting_ms.as_ref().filter(|(wait_ms, _)| *wait_ms >= 1_000.0)
    {
        parts.push(format!("next call in {} ({reason})", output::duration(*wait_ms)));
    }
    if let Some(eta_ms) = progress.eta_ms {
        parts.push(format!("ends in {}", output::duration(eta_ms)));
    }
    parts.join(" · ")
}

/// A job takes minutes and a limit lasts an hour: people want the time on the wall.
fn describe_jobs(progress: &Progress, jobs: &Gauge, now: Timestamp) -> String {
    let counts = progress.counts;
    let mut parts = vec![format!("{} triggered", jobs.triggered)];
    let also = [
        (jobs.pending as u64, "pending"),
        (jobs.running as u64, "running"),
        (counts.completed, "done"),
        (counts.failed, "failed"),
        (counts.unknown, "unknown"),
        (counts.throttled, "refused"),
    ];
    parts.extend(
        also.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")),
    );
    let at = |ms: f64| {
        output::time_of_day(now + Duration::try_from_secs_f64(ms / 1e3).unwrap_or_default())
    };
    let begun = counts.ended() + (jobs.pending + jobs.running) as u64;
    let waits_for_a_start = begun < counts.total;
    if let Some((wait_ms, reason)) =
        progress.waiting_ms.as_ref().filter(|(wait_ms, _)| *wait_ms >= 1_000.0 && waits_for_a_start)
    {
        parts.push(format!("next slot at {} ({reason})", at(*wait_ms)));
    }
    // A look that is due in a moment is no news.
    let look_ms = jobs.next_look_ms.map(|ms| ms as f64).filter(|ms| *ms >= 3_000.0);
    if let Some(look_ms) = look_ms {
        parts.push(format!("next look at {} (read limits)", at(look_ms)));
    }
    if let Some(eta_ms) = progress.eta_ms {
        let eta_ms = eta_ms.max(look_ms.unwrap_or_default());
        parts.push(format!("ends in {}, at {}", output::duration(eta_ms), at(eta_ms)));
    }
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_explanation_is_told_once() {
        let mut told = Told::default();
        let mut progress = Progress {
            counts: paceline_model::Counts { throttled: 2, ..Default::default() },
            in_flight: 0,
            waiting_ms: None,
            waits_for: None,
            rate_per_second: 0.0,
            eta_ms: None,
            elapsed_ms: 0.0,
            call_ms: 0.0,
            explanations: vec!["20/min: one".to_owned()],
            jobs: None,
        };
        assert_eq!(told.news(&progress), ["2 refused: 20/min: one"]);
        progress.explanations.push("20/min: another".to_owned());
        progress.counts.throttled = 3;
        assert_eq!(told.news(&progress), ["3 refused: 20/min: another"]);
        assert!(told.news(&progress).is_empty());
    }

    #[test]
    fn jobs_are_told_with_the_time_on_the_wall() {
        let counts =
            paceline_model::Counts { total: 60, completed: 9, failed: 1, ..Default::default() };
        let progress = Progress {
            counts,
            in_flight: 0,
            waiting_ms: Some((61_000.0, "20/min".to_owned())),
            waits_for: None,
            rate_per_second: 0.0,
            eta_ms: Some(7_200_000.0),
            elapsed_ms: 0.0,
            call_ms: 0.0,
            explanations: Vec::new(),
            jobs: Some(Gauge {
                triggered: 15,
                pending: 2,
                running: 3,
                ended: 10,
                next_look_ms: None,
            }),
        };
        let now = Timestamp::from_seconds(1_767_225_600);
        let at = |seconds| output::time_of_day(now + Duration::from_secs(seconds));
        assert_eq!(
            describe(&progress, now),
            format!(
                "15 triggered · 2 pending · 3 running · 9 done · 1 failed · next slot at {} (20/min) · ends in 2 h 00 min, \
                 at {}",
                at(61),
                at(7_200)
            )
        );
        let mut waits = progress;
        waits.eta_ms = Some(2_000.0);
        waits.jobs = waits.jobs.map(|jobs| Gauge { next_look_ms: Some(30_000), ..jobs });
        let line = describe(&waits, now);
        let ends = format!("next look at {0} (read limits) · ends in 30.0 s, at {0}", at(30));
        assert!(line.ends_with(&ends), "{line}");
    }
}
