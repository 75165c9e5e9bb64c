//! 401 in the middle (acceptance 3 of issue 4): the token is read again, and no job fails for it.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use paceline_clock::SimClock;
use paceline_hex::EndKind;
use paceline_lab::HexConfig;

use crate::support::{Desk, SimWire, Token, job, perform, session, unlimited, word};

/// Jobs whose token Hex revokes at call 30; `rewritten`: the source has another one by then.
fn rotate(rewritten: bool) {
    SimClock::new().run(|clock| async move {
        let faults = "rotate:#30".parse().unwrap();
        let mut config = HexConfig { faults, net: "50".parse().unwrap(), ..HexConfig::default() };
        config.projects.iter_mut().for_each(|project| project.run = "20000".parse().unwrap());
        let wire = SimWire::new(config, &clock);
        let token = Token::new("hxtp_old");
        let session = session(unlimited(), Arc::clone(&wire) as _, &token, &clock);
        let source = Arc::clone(&token);
        let desks: Vec<_> = (0..25).map(|_| Arc::new(Desk::default())).collect();
        let run = async |source: Arc<Token>| {
            let mut tasks = Vec::new();
            for (n, desk) in desks.iter().enumerate() {
                let (session, desk, clock) = (session.clone(), Arc::clone(desk), clock.clone());
                tasks.push(tokio::spawn(async move {
                    perform(&session, &job(n, 10), &desk, &clock).await
                }));
            }
            // In use is the old one by now.
            clock.sleep(Duration::from_millis(10)).await;
            if rewritten {
                source.set("hxtp_new");
            }
            let mut ends = Vec::new();
            for task in tasks {
                ends.push(task.await.unwrap());
            }
            ends
        };
        let mut ends = run(source).await;
        if rewritten {
            assert_eq!(
                token.reads.load(SeqCst),
                2,
                "once at the start, once for all who were refused"
            );
        } else {
            assert!(
                ends.iter().any(|end| matches!(end, EndKind::NoCredentials { .. })),
                "{ends:?}"
            );
            let fine = |end: &EndKind| matches!(word(end), "no credentials" | "completed");
            assert!(ends.iter().all(fine), "{ends:?}");
            assert!(ends.iter().all(|end| !format!("{end:?}").contains("hxtp")), "{ends:?}");
            // A person mends it, and the run is resumed; what had completed is not performed again by an engine.
            token.set("hxtp_new");
            for (n, end) in ends.iter_mut().enumerate() {
                if word(end) == "no credentials" {
                    *end = perform(&session, &job(n, 10), &desks[n], &clock).await;
                }
            }
        }
        assert!(ends.iter().all(|end| word(end) == "completed"), "{ends:?}");
        let stats = wire.hex.stats();
        assert_eq!((stats.started, stats.double_started), (25, 0));
    });
}

#[test]
fn a_rewritten_token_is_read_once_and_everything_goes_on() {
    rotate(true);
}

#[test]
fn a_token_that_stays_refused_pauses_everything_and_fails_nothing() {
    rotate(false);
}
