//! The book of one project's runs: pure, so that the rules against a second start can be tested by themselves.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use paceline_clock::Tick;

use crate::{Run, RunId};

/// Runs of ours that are remembered in one project.
const OWN_MAX: usize = 10_000;
/// Runs of ours that a baseline holds beside those of the last listing, which may not show them yet.
const OWN_IN_BASELINE: usize = 200;
/// POSTs without a known end that are remembered.
const POSTS_MAX: usize = 1_000;

/// A POST of which it is not known what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Post {
    pub(crate) body_hash: String,
    pub(crate) sent_at_ms: i64,
    /// Until when others wait for it: whoever could settle it may be gone for good.
    pub(crate) blocks_until: Tick,
}

impl Post {
    fn key(&self) -> (String, i64) {
        (self.body_hash.clone(), self.sent_at_ms)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Book {
    listed: BTreeSet<RunId>,
    /// When the listing was asked for.
    listed_at: Option<Tick>,
    /// Somebody else starts runs of this project too.
    shared: bool,
    /// Some job's runs, each with the POST that started it where that is known.
    own: BTreeMap<RunId, Option<(String, i64)>>,
    own_order: VecDeque<RunId>,
    posts: VecDeque<Post>,
}

impl Book {
    /// A listing that was asked for at `asked_at`.
    pub(crate) fn listing(&mut self, runs: &[Run], asked_at: Tick) {
        let ids = runs.iter().map(|run| run.run_id.clone());
        if self.listed_at.is_some_and(|at| at > asked_at) {
            // An older one that took longer: it may lack what the newer one has.
            return self.listed.extend(ids);
        }
        let ids: BTreeSet<RunId> = ids.collect();
        // While a POST is unsettled, what nobody knows may be its run; but not for ever.
        let may_come = |post: &Post| post.blocks_until >= asked_at;
        if self.listed_at.is_some() && !self.posts.iter().any(may_come) {
            self.shared |=
                ids.iter().any(|id| !self.listed.contains(id) && !self.own.contains_key(id));
        }
        self.listed = ids;
        self.listed_at = Some(asked_at);
    }

    /// The runs that are there before a POST, unless what is known is too old: where others start runs too, any age is.
    pub(crate) fn baseline(&self, now: Tick, age_max: Duration) -> Option<Vec<RunId>> {
        let listed_at = self.listed_at?;
        let age_max = if self.shared { Duration::ZERO } else { age_max };
        if now.since(listed_at) > age_max {
            return None;
        }
        let mut ids = self.listed.clone();
        ids.extend(self.own_order.iter().rev().take(OWN_IN_BASELINE).cloned());
        Some(ids.into_iter().collect())
    }

    /// A run that is some job's: no other one may take it for its own. `post` started it.
    pub(crate) fn own(&mut self, run: &RunId, post: Option<&Post>) {
        if self.own.contains_key(run) {
            return;
        }
        self.own.insert(run.clone(), post.map(Post::key));
        self.own_order.push_back(run.clone());
        if self.own.len() > OWN_MAX
            && let Some(oldest) = self.own_order.pop_front()
        {
            self.own.remove(&oldest);
        }
    }

    /// Whether a run is another job's than that of `post`. One that `post` started is not, even though that is known: its
    /// job may have been dropped before it was on record.
    pub(crate) fn is_others(&self, run: &RunId, post: &Post) -> bool {
        self.own.get(run).is_some_and(|starter| *starter != Some(post.key()))
    }

    /// A POST is about to be made; `Err`: not while another one is unsettled, which blocks until then at the latest.
    pub(crate) fn begin(&mut self, post: Post, now: Tick) -> Result<(), Tick> {
        let blocking = self.posts.iter().map(|post| post.blocks_until).filter(|until| *until > now);
        match blocking.max() {
            Some(until) => Err(until),
            None => {
                self.remember(post);
                Ok(())
            }
        }
    }

    /// A POST of an earlier process, or of a job that was dropped, of which it is not known what came of it.
    pub(crate) fn remember(&mut self, post: Post) {
        self.settle(&post);
        if self.posts.len() >= POSTS_MAX {
            self.posts.pop_front();
        }
        self.posts.push_back(post);
    }

    /// It is known what came of it.
    pub(crate) fn settle(&mut self, post: &Post) {
        let key = post.key();
        self.posts.retain(|other| other.key() != key);
    }

    /// What is listed may lack the run of a POST without a clean answer: the next baseline has to be a new one.
    pub(crate) fn doubt(&mut self) {
        self.listed_at = None;
    }

    /// Unsettled POSTs that were made no earlier than this one: a run that nobody knows may be theirs.
    pub(crate) fn rivals(&self, post: &Post) -> usize {
        let others = self.posts.iter().filter(|other| other.key() != post.key());
        others.filter(|other| other.sent_at_ms >= post.sent_at_ms).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunStatus;

    const AGE: Duration = Duration::from_secs(300);

    fn at(seconds: u64) -> Tick {
        Tick::from_millis(seconds * 1_000)
    }

    fn id(name: &str) -> RunId {
        RunId(name.to_owned())
    }

    fn runs(names: &[&str]) -> Vec<Run> {
        let run = |name: &&str| Run {
            run_id: id(name),
            project_id: String::new(),
            status: RunStatus::Running,
            project_version: None,
            run_url: None,
            start_time: None,
            end_time: None,
            elapsed_ms: None,
            trace_id: None,
        };
        names.iter().map(run).collect()
    }

    fn post(hash: &str, sent_at_ms: i64, until: u64) -> Post {
        Post { body_hash: hash.to_owned(), sent_at_ms, blocks_until: at(until) }
    }

    #[test]
    fn a_baseline_is_the_last_listing_and_our_own_starts_while_it_is_young() {
        let mut book = Book::default();
        assert_eq!(book.baseline(at(0), AGE), None);
        book.listing(&runs(&["a", "b"]), at(10));
        book.own(&id("c"), None);
        assert_eq!(book.baseline(at(310), AGE), Some(["a", "b", "c"].map(id).to_vec()));
        assert_eq!(book.baseline(at(311), AGE), None);
        book.listing(&runs(&["x"]), at(5));
        assert_eq!(
            book.baseline(at(20), AGE).unwrap().len(),
            4,
            "an older listing takes nothing away"
        );
        book.doubt();
        assert_eq!(book.baseline(at(20), AGE), None);
    }

    #[test]
    fn where_others_start_runs_too_a_baseline_is_never_old() {
        let mut book = Book::default();
        book.listing(&runs(&["a"]), at(10));
        book.own(&id("b"), None);
        book.begin(post("h", 1, 100), at(11)).unwrap();
        book.listing(&runs(&["a", "b", "c"]), at(12));
        assert!(book.baseline(at(13), AGE).is_some(), "c may be the run of the unsettled POST");
        book.settle(&post("h", 1, 100));
        book.listing(&runs(&["a", "b", "c", "d"]), at(14));
        assert_eq!(book.baseline(at(15), AGE), None);
        assert!(book.baseline(at(14), AGE).is_some());
    }

    #[test]
    fn one_unsettled_post_at_a_time_but_nobody_waits_for_ever() {
        let mut book = Book::default();
        assert_eq!(book.begin(post("a", 1, 100), at(0)), Ok(()));
        assert_eq!(book.begin(post("b", 2, 200), at(1)), Err(at(100)));
        assert_eq!(book.begin(post("b", 2, 200), at(100)), Ok(()), "its job never came back");
        assert_eq!((book.rivals(&post("a", 1, 0)), book.rivals(&post("b", 2, 0))), (1, 0));
        book.settle(&post("b", 2, 0));
        assert_eq!(book.rivals(&post("a", 1, 0)), 0);
    }

    #[test]
    fn a_run_is_no_other_job_s_for_the_post_that_started_it() {
        let mut book = Book::default();
        book.own(&id("a"), Some(&post("h", 1, 100)));
        book.own(&id("a"), None);
        assert!(!book.is_others(&id("a"), &post("h", 1, 7)));
        assert!(book.is_others(&id("a"), &post("h", 2, 100)));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut book = Book::default();
        for n in 0..OWN_MAX + 5 {
            book.own(&id(&n.to_string()), None);
        }
        assert_eq!((book.own.len(), book.own_order.len()), (OWN_MAX, OWN_MAX));
        let post = post("h", 0, 1);
        assert!(!book.is_others(&id("0"), &post) && book.is_others(&id("5"), &post));
        for n in 0..POSTS_MAX + 5 {
            book.remember(self::post("h", n as i64, 1));
        }
        assert_eq!(book.posts.len(), POSTS_MAX);
    }
}
