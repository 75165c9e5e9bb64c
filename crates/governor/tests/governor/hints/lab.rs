//! What the lab's vendor says is what is read: two independent hands on the same formats.

use std::time::Duration;

use paceline_clock::{SimClock, Tick, Timestamp};
use paceline_governor::{Hints, Quota, QuotaName};
use paceline_lab::{Answer, Call, Limit, RateHeaders, Reply, RetryAfter, Vendor, VendorConfig};
use proptest::prelude::*;

const LIMITS: [&str; 2] = ["3/2s", "7/min"];

/// Calls that arrive after these gaps, with the moments of their arrival.
fn answers(config: VendorConfig, gaps_ms: Vec<u64>) -> Vec<(Tick, Answer)> {
    SimClock::new().run(move |clock| async move {
        let vendor = Vendor::new(config, clock.clone()).unwrap();
        let mut answers = Vec::new();
        for gap_ms in gaps_ms {
            clock.sleep(Duration::from_millis(gap_ms)).await;
            answers.push((clock.now(), vendor.call(Call::new()).await));
        }
        answers
    })
}

fn read(answer: &Answer) -> Hints {
    let headers = answer.headers.iter().map(|(name, value)| (*name, value.as_bytes()));
    // The lab writes a Date wherever a time is absolute, so the local clock must not matter.
    Hints::read(headers, Timestamp::default())
}

/// Where a sliding log stands: how many are left, and when all of it is free.
fn standing(limit: Limit, accepted: &[Tick], now: Tick) -> (u64, Duration) {
    let held = accepted.iter().filter(|at| **at + limit.window() > now);
    let clear_at = held.clone().max().map_or(now, |last| *last + limit.window());
    (limit.count() - held.count() as u64, clear_at - now)
}

fn agrees(quota: &Quota, limit: Limit, (left, clear_in): (u64, Duration)) -> bool {
    // Rounded up to a whole second by the vendor, and up to two more where dates are in whole seconds.
    let late = quota.reset.unwrap().checked_sub(clear_in);
    quota.limit == Some(limit.count())
        && quota.remaining == Some(left)
        && late.is_some_and(|late| late <= Duration::from_secs(3))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn quotas_are_read_back_in_every_family(
        gaps_ms in prop::collection::vec(0_u64..3_000, 1..30),
        family in prop::sample::select(&[RateHeaders::Draft, RateHeaders::Draft03, RateHeaders::X][..]),
    ) {
        let limits = LIMITS.map(|limit| limit.parse::<Limit>().unwrap());
        let config = VendorConfig {
            limits: limits.to_vec(),
            policy: "log".parse().unwrap(),
            rate_headers: family,
            ..VendorConfig::default()
        };
        let mut accepted = Vec::new();
        for (now, answer) in answers(config, gaps_ms) {
            if answer.reply == Reply::Accepted {
                accepted.push(now);
            }
            let hints = read(&answer);
            let quotas = hints.quotas.as_slice();
            let standings = limits.map(|limit| (limit, standing(limit, &accepted, now)));
            if family == RateHeaders::Draft {
                prop_assert_eq!(quotas.len(), 2, "{:?}", hints);
                for (quota, (limit, standing)) in quotas.iter().zip(standings) {
                    prop_assert_eq!(quota.name.as_str(), limit.to_string());
                    prop_assert_eq!(quota.window, Some(limit.window()));
                    prop_assert!(agrees(quota, limit, standing), "{quota:?} {standing:?}");
                }
            } else {
                let tightest = standings.into_iter().min_by_key(|(_, (left, clear_in))| {
                    (*left, std::cmp::Reverse(*clear_in))
                });
                let (limit, standing) = tightest.unwrap();
                prop_assert_eq!(quotas.len(), 1, "{:?}", hints);
                prop_assert_eq!(quotas[0].name, QuotaName::default());
                prop_assert!(agrees(&quotas[0], limit, standing), "{quotas:?} {standing:?}");
            }
        }
    }

    #[test]
    fn a_refusal_s_wait_is_never_read_as_shorter(
        gaps_ms in prop::collection::vec(0_u64..1_500, 4..30),
        retry_after in prop::sample::select(&[RetryAfter::Seconds, RetryAfter::Date][..]),
    ) {
        let config = VendorConfig {
            limits: LIMITS.map(|limit| limit.parse().unwrap()).to_vec(),
            policy: "log".parse().unwrap(),
            retry_after,
            ..VendorConfig::default()
        };
        for (now, answer) in answers(config, gaps_ms) {
            let asked = read(&answer).retry_after;
            if let Reply::Refused(refusal) = answer.reply {
                let late = asked.unwrap().checked_sub(refusal.until - now);
                prop_assert!(late.is_some_and(|late| late <= Duration::from_secs(3)), "{asked:?}");
            } else {
                prop_assert_eq!(asked, None);
            }
        }
    }
}
