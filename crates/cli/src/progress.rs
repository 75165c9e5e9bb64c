//! Progress for a person: a bar on a terminal, a plain line now and then elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use paceline_clock::Clock;
use paceline_engine::Progress;

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
        loop {
            clock.sleep(LINE_EVERY).await;
            let progress = snapshot();
            let counts = progress.counts;
            output::note(&format!(
                "{}/{} {}",
                output::thousands(counts.ended()),
                output::thousands(counts.total),
                describe(&progress)
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
    loop {
        let progress = snapshot();
        bar.0.set_position(progress.counts.ended());
        bar.0.set_message(describe(&progress));
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

fn describe(progress: &Progress) -> String {
    let counts = progress.counts;
    let mut parts = vec![
        format!("{:.1}/s", progress.rate_per_second),
        format!("{} in flight", progress.in_flight),
    ];
    let also =
        [(counts.failed, "failed"), (counts.unknown, "unknown"), (counts.throttled, "throttled")];
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
