//! Taking away files and jobs that nobody needs any more.

use std::collections::HashSet;
use std::time::Duration;

use paceline_clock::Timestamp;
use paceline_files::FileFormat;
use paceline_model::{Item, limits};

use super::files::UPLOAD;
use super::{Files, Job, KIND, RETRY_PAUSE, Work, blocking, recordings};
use crate::App;
use crate::error::{ApiError, Result};

/// How often it is looked for them.
const EVERY: Duration = Duration::from_secs(300);
/// How long a file stays after the last link to it has expired, for downloads that have begun.
const GRACE: Duration = Duration::from_secs(900);

/// Takes away what an earlier process left behind: files that no job knows.
pub(crate) async fn at_start(app: &App, files: &Files) {
    loop {
        match sweep(app, files, true).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(error = %error.0.message, "files cannot be looked through");
                app.clock.sleep(RETRY_PAUSE).await;
            }
        }
    }
}

/// Takes away what has had its time, again and again.
pub(crate) async fn forever(app: &App, files: &Files) {
    loop {
        app.clock.sleep(EVERY).await;
        if let Err(error) = sweep(app, files, false).await {
            tracing::warn!(error = %error.0.message, "files cannot be looked through");
        }
    }
}

async fn sweep(app: &App, files: &Files, alone: bool) -> Result<()> {
    // Before the jobs: a job is made before its file, so whatever is here and has no job then lost it.
    let looked = files.clone();
    let found = match blocking(app, move || looked.all()).await? {
        Ok(found) => found,
        Err(error) => {
            return Err(ApiError::internal(format!("the folder of files cannot be read: {error}")));
        }
    };
    let mut items = app.engine.store().items(KIND, None).await?;
    let over = items.len().saturating_sub(limits::JOBS_KEPT_MAX);
    let old: Vec<i64> = items.iter().filter(|item| ended(item)).take(over).map(|i| i.id).collect();
    for id in &old {
        app.engine.store().delete_item(KIND, *id).await?;
    }
    items.retain(|item| !old.contains(&item.id));
    let now = app.clock.wall();
    let needed: HashSet<String> = items.iter().flat_map(|item| names(app, item, now)).collect();
    let tables = recordings::tables(app.engine.store().as_ref()).await?;
    let done: HashSet<String> = items.iter().filter_map(used_upload).collect();
    // An upload is there before its job is.
    let coming = format!("{UPLOAD}{}", app.jobs.start);
    let gone = move |name: &String| {
        if let Some(table) = recordings::table_of(name) {
            return !tables.contains(&table);
        }
        let ours = name.starts_with("job-") || name.starts_with(UPLOAD);
        let comes = name.starts_with(&coming) && !done.contains(name);
        // Drafts of this process have other names; at the start there are none.
        !needed.contains(name) && !comes && (ours || alone)
    };
    let files = files.clone();
    blocking(app, move || {
        found.iter().map(|(name, _)| name).filter(|name| gone(name)).for_each(|n| files.remove(n));
    })
    .await
}

/// The upload of an import that has ended.
fn used_upload(item: &Item) -> Option<String> {
    match Job::of(item).ok().filter(|job| job.status.ended())?.work {
        Work::Import(plan) => Some(plan.file),
        Work::Export(_) => None,
    }
}

fn ended(item: &Item) -> bool {
    Job::of(item).is_ok_and(|job| job.status.ended())
}

/// The files that a job still needs.
fn names(app: &App, item: &Item, now: Timestamp) -> Vec<String> {
    let Ok(job) = Job::of(item) else { return Vec::new() };
    let Some(ended_at) = job.ended_at.map(Timestamp::from_micros) else {
        return match job.work {
            Work::Import(plan) => vec![plan.file, Files::report(item.id, FileFormat::Jsonl)],
            Work::Export(_) => Vec::new(),
        };
    };
    let (kept, names) = match job.work {
        Work::Import(_) => {
            let report = |format| Files::report(item.id, format);
            (limits::IMPORT_REPORT_KEPT, vec![report(FileFormat::Jsonl), report(FileFormat::Csv)])
        }
        Work::Export(plan) => {
            (app.config.limits.file_link_lifetime, vec![Files::export(item.id, plan.format)])
        }
    };
    if now.since(ended_at) > kept + GRACE { Vec::new() } else { names }
}
