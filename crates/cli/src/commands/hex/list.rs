//! `paceline hex list`: the projects, page by page inside the limits.

use std::time::Duration;

use paceline_clock::{Clock, Timestamp};
use paceline_hex::{Error, Options, Project, ProjectPage, Session};
use serde_json::json;

use super::account::Account;
use super::token::Tokens;
use super::{refused, session};
use crate::args::hex::ListArgs;
use crate::exit::{Exit, Failure};
use crate::output;

/// Pages of 100 at the most.
const PAGES_MAX: usize = 1_000;
/// How often a call that was refused for its rate is made again.
const THROTTLES_MAX: u32 = 5;

pub(super) async fn run(args: &ListArgs) -> Result<Exit, Failure> {
    let clock = Clock::system();
    let account = Account::of(&args.account)?;
    let tokens = Tokens::open(&args.account, &clock).await?;
    let options = Options { base_url: account.base_url.clone(), ..Options::default() };
    let session = session(&account, options, tokens, &clock)?;
    let mut projects: Vec<Project> = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = page(&session, after.as_deref(), &clock).await.map_err(refused)?;
        projects.extend(page.projects);
        // A cursor that stays is no next page.
        if page.next.is_none() || page.next == after {
            break;
        }
        after = page.next;
    }
    print(&projects, args.account.json);
    Ok(Exit::Done)
}

async fn page(session: &Session, after: Option<&str>, clock: &Clock) -> Result<ProjectPage, Error> {
    let mut throttles = 0;
    loop {
        match session.projects(after).await {
            Err(Error::Throttled { retry_after, .. }) if throttles < THROTTLES_MAX => {
                throttles += 1;
                clock.sleep(retry_after.min(Duration::from_secs(300))).await;
            }
            answered => return answered,
        }
    }
}

fn print(projects: &[Project], as_json: bool) {
    if as_json {
        let projects: Vec<_> = projects
            .iter()
            .map(|project| {
                json!({
                    "id": project.id,
                    "title": project.title,
                    "published": project.last_published_at.is_some(),
                    "last_published_at": project.last_published_at.map(date),
                })
            })
            .collect();
        output::result(&json!({ "projects": projects }).to_string());
        return;
    }
    for project in projects {
        let published =
            project.last_published_at.map_or_else(|| "never published".to_owned(), date);
        output::result(&format!(
            "{}  {published:<20}  {}",
            output::in_one_line(&project.id),
            output::in_one_line(&project.title)
        ));
    }
}

/// A moment as ISO 8601 has it, to the second.
fn date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(at.as_micros().div_euclid(1_000_000));
    at.map_or_else(|_| "?".to_owned(), |at| at.to_string())
}
