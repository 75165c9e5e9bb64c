//! The queue by itself: turns, ageing, cancellations, wakers and memory. The whole of it against a naive one: `model`.

mod model;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use paceline_clock::Random;
use proptest::prelude::*;

use super::*;

/// Grants are numbers, refusals are texts.
type TestQueue = Queue<u32, &'static str>;

const KEYS: [u64; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

fn look(queue: &mut TestQueue, place: Place) -> Found<u32, &'static str> {
    queue.look(place, Waker::noop())
}

/// Grants the next one and takes it out; answers what it asked for.
fn serve(queue: &mut TestQueue) -> Option<Ask> {
    let (place, ask) = (queue.next()?, queue.next_ask()?);
    queue.grant_next(0);
    assert_eq!(look(queue, place), Found::Granted(0));
    Some(ask)
}

fn below(random: &Random, end: usize) -> usize {
    (random.next_u64() % end as u64) as usize
}

/// How many of 1,000 grants each of eight keys gets, all of them backlogged all the time. With `churn`, callers of all
/// keys come and go at random.
fn grants_by_key(shares: [u32; 8], churn: Option<u64>) -> [u32; 8] {
    let random = churn.map(Random::seeded);
    let mut queue = TestQueue::default();
    let mut places: [Vec<Place>; 8] = Default::default();
    let mut grants = [0; 8];
    for _ in 0..1_000 {
        if let Some(random) = &random {
            for _ in 0..below(random, 8) {
                let key = below(random, 8);
                if !places[key].is_empty() {
                    let at = below(random, places[key].len());
                    assert_eq!(queue.leave(places[key].remove(at)), None);
                }
            }
        }
        for key in KEYS {
            let (waiting, share) = (&mut places[key as usize], shares[key as usize]);
            let spare = random.as_ref().map_or(0, |random| below(random, 20));
            while waiting.len() < share as usize + 1 + spare {
                waiting.push(queue.join(Ask::new().turn(key, share)));
            }
        }
        let next = queue.next().unwrap();
        let key = serve(&mut queue).unwrap().get_turn() as usize;
        assert_eq!(places[key].remove(0), next, "first come, first served inside a key");
        grants[key] += 1;
    }
    grants
}

fn assert_fair(shares: [u32; 8], churn: Option<u64>) {
    let grants = grants_by_key(shares, churn);
    let sum = f64::from(shares.iter().sum::<u32>());
    for (got, share) in grants.into_iter().zip(shares) {
        let due = 1_000.0 * f64::from(share) / sum;
        assert!((f64::from(got) - due).abs() <= due / 10.0, "{grants:?} for {shares:?}");
    }
}

#[test]
fn keys_that_are_all_backlogged_get_turns_by_their_shares() {
    assert_eq!(grants_by_key([1; 8], None), [125; 8]);
    assert_eq!(grants_by_key([5; 8], None), [125; 8]);
    assert_fair([1, 2, 3, 4, 5, 6, 7, 8], None);
    assert_fair([10, 1, 1, 1, 1, 1, 1, 1], None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn turns_stay_fair_while_callers_come_and_go(
        seed in any::<u64>(),
        shares in prop::array::uniform8(1_u32..=5),
    ) {
        assert_fair([1; 8], Some(seed));
        assert_fair(shares, Some(seed));
    }
}

#[test]
fn a_round_gives_each_key_its_turns_one_after_the_other() {
    let mut queue = TestQueue::default();
    for (key, share) in [(0, 1), (1, 3), (2, 2)] {
        for _ in 0..5 {
            queue.join(Ask::new().turn(key, share));
        }
    }
    let served: Vec<u64> = std::iter::from_fn(|| serve(&mut queue)).map(|a| a.get_turn()).collect();
    // Key 1 empties in its second round and leaves a turn unused.
    assert_eq!(served, [0, 1, 1, 1, 2, 2, 0, 1, 1, 2, 2, 0, 2, 0, 0]);
}

#[test]
fn a_key_that_empties_comes_back_without_its_deficit_and_behind_the_others() {
    let mut queue = TestQueue::default();
    let (ones, twos) = (Ask::new().turn(1, 9), Ask::new().turn(2, 1));
    queue.join(ones);
    queue.join(twos);
    assert_eq!(serve(&mut queue), Some(ones)); // eight turns left, and nobody to use them
    queue.join(ones);
    assert_eq!([serve(&mut queue), serve(&mut queue)], [Some(twos), Some(ones)]);
}

#[test]
fn a_flood_of_one_key_does_not_keep_another_from_its_turn() {
    let mut queue = TestQueue::default();
    let (flood, other) = (Ask::new().turn(1, 1), Ask::new().turn(2, 1));
    let mut places: Vec<Place> = (0..100_000).map(|_| queue.join(flood)).collect();
    assert_eq!(serve(&mut queue), Some(flood));
    queue.join(other);
    queue.join(other);
    let served = [(); 4].map(|()| serve(&mut queue));
    assert_eq!(served, [Some(flood), Some(other), Some(flood), Some(other)]);
    // Out of the middle first, then from both ends: whoever is left is served in order.
    let last = places.split_off(99_000);
    let end = places.split_off(50_000);
    for place in end.into_iter().chain(places) {
        assert_eq!(queue.leave(place), None);
    }
    assert_eq!(queue.len(), last.len());
    for place in last {
        assert_eq!(queue.next(), Some(place));
        assert_eq!(serve(&mut queue), Some(flood));
    }
    assert!(queue.is_empty());
}

#[test]
fn who_is_passed_over_eight_times_gets_the_next_turn() {
    let mut queue = TestQueue::default();
    for priority in Priority::ALL {
        for _ in 0..20 {
            queue.join(Ask::new().priority(priority));
        }
    }
    let served: String = (0..20)
        .filter_map(|_| serve(&mut queue))
        .map(|ask| ask.get_priority().as_str().chars().next().unwrap())
        .collect();
    assert_eq!(served, "hhhhhhhhnlhhhhhhhhnl");
}

#[test]
fn passing_over_is_forgotten_with_the_last_who_waited() {
    let mut queue = TestQueue::default();
    let low = Ask::new().priority(Priority::Low);
    for _ in 0..20 {
        queue.join(Ask::new());
    }
    let first = queue.join(low);
    (0..8).for_each(|_| assert_eq!(serve(&mut queue), Some(Ask::new())));
    assert_eq!(queue.next(), Some(first));
    queue.leave(first);
    queue.join(low);
    (0..8).for_each(|_| assert_eq!(serve(&mut queue), Some(Ask::new())));
    assert_eq!(serve(&mut queue), Some(low));
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_waker_that_comes_back_is_the_last_one_left_by_who_was_answered() {
    let mut queue = TestQueue::default();
    let woken: [Arc<Woken>; 4] = Default::default();
    let wakers = woken.clone().map(Waker::from);
    let places = [(); 4].map(|()| queue.join(Ask::default()));
    assert!(queue.first_waker().is_none(), "it has not looked yet");
    for (place, waker) in places.iter().zip(&wakers) {
        queue.look(*place, Waker::noop());
        queue.look(*place, waker);
    }
    assert!(queue.first_waker().unwrap().will_wake(&wakers[0]));
    assert!(queue.grant_next(7).unwrap().will_wake(&wakers[0]));
    assert!(queue.refuse_next("never").unwrap().will_wake(&wakers[1]));
    let mut wake = Vec::new();
    queue.refuse_all("tripped", &mut wake);
    wake.into_iter().for_each(Waker::wake);
    assert_eq!(woken.map(|woken| woken.0.load(Ordering::Relaxed)), [0, 0, 1, 1]);
    assert!(queue.is_empty() && queue.first_waker().is_none() && queue.grant_next(8).is_none());

    assert_eq!(look(&mut queue, places[0]), Found::Granted(7));
    assert_eq!(look(&mut queue, places[1]), Found::Refused("never"));
    assert_eq!(queue.leave(places[2]), None, "a refusal is nothing to give back");
    assert_eq!(look(&mut queue, places[3]), Found::Refused("tripped"));
}

#[test]
fn what_was_granted_and_never_collected_comes_back_once() {
    let mut queue = TestQueue::default();
    let place = queue.join(Ask::default());
    queue.grant_next(7);
    assert!(!queue.contains(place));
    assert_eq!(queue.leave(place), Some(7));
    let next = queue.join(Ask::default());
    assert_eq!(queue.leave(place), None, "the room has another waiter now");
    assert_eq!(look(&mut queue, place), Found::Behind);
    assert_eq!(look(&mut queue, next), Found::First);
}

#[test]
fn a_key_leaves_no_memory_behind() {
    let mut queue = TestQueue::default();
    for key in 0..10_000 {
        let [gone, _served] = [(); 2].map(|()| queue.join(Ask::new().turn(key, 3)));
        queue.leave(gone);
        serve(&mut queue);
    }
    assert_eq!(queue.waiters.size(), (0, 2));
    assert_eq!(queue.levels.map(|level| level.size()), [(0, 0), (0, 1), (0, 0)]);
}
