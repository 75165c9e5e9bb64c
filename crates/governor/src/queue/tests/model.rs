//! The queue against a naive one: plain vectors, searched from end to end.

use proptest::prelude::*;

use super::*;

/// Who waits, in the order of coming; and per priority the keys in the order of their turns.
#[derive(Default)]
struct Naive {
    waiting: Vec<(usize, Ask)>,
    rounds: [Vec<u64>; 3],
    turns_left: [u32; 3],
    passed_over: [u32; 3],
}

impl Naive {
    fn join(&mut self, id: usize, ask: Ask) {
        self.waiting.push((id, ask));
        let round = &mut self.rounds[ask.get_priority() as usize];
        if !round.contains(&ask.get_turn()) {
            round.push(ask.get_turn());
        }
    }

    fn next(&self) -> Option<(usize, Ask)> {
        let due = |level: &usize| self.passed_over[*level] >= 8;
        let waiting = || (0..3).filter(|level| !self.rounds[*level].is_empty());
        let level = waiting().find(due).or_else(|| waiting().next())?;
        let stands = |ask: Ask| (ask.get_priority() as usize, ask.get_turn());
        self.waiting.iter().copied().find(|(_, ask)| stands(*ask) == (level, self.rounds[level][0]))
    }

    fn grant(&mut self) -> Option<usize> {
        let (id, ask) = self.next()?;
        let level = ask.get_priority() as usize;
        if self.turns_left[level] == 0 {
            self.turns_left[level] = ask.get_share();
        }
        self.turns_left[level] -= 1;
        if self.turns_left[level] == 0 {
            self.rounds[level].rotate_left(1);
        }
        self.passed_over[level] = 0;
        self.passed_over[level + 1..].iter_mut().for_each(|passed| *passed += 1);
        self.leave(id);
        Some(id)
    }

    fn leave(&mut self, id: usize) {
        self.waiting.retain(|(waiting, _)| *waiting != id);
        for (level, round) in self.rounds.iter_mut().enumerate() {
            let first = round.first().copied();
            let asks = self.waiting.iter().map(|(_, ask)| ask);
            let here = asks.filter(|ask| ask.get_priority() as usize == level);
            let keys: Vec<u64> = here.map(|ask| ask.get_turn()).collect();
            round.retain(|key| keys.contains(key));
            if round.first().copied() != first {
                self.turns_left[level] = 0;
            }
            if round.is_empty() {
                self.passed_over[level] = 0;
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Join(Ask),
    Grant,
    RefuseNext,
    RefuseAll,
    /// One of all who did not go yet.
    Leave(prop::sample::Index),
    Look(prop::sample::Index),
}

fn asks() -> impl Strategy<Value = Ask> {
    let priorities = prop::sample::select(Priority::ALL.to_vec());
    (priorities, 0_u64..4, 1_u32..4, any::<u64>()).prop_map(|(priority, key, share, tokens)| {
        Ask::new().priority(priority).turn(key, share).tokens(tokens)
    })
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        30 => asks().prop_map(Op::Join),
        10 => any::<prop::sample::Index>().prop_map(Op::Leave),
        25 => Just(Op::Grant),
        5 => Just(Op::RefuseNext),
        1 => Just(Op::RefuseAll),
        10 => any::<prop::sample::Index>().prop_map(Op::Look),
    ]
}

/// One who did not go yet, with what it will find; `None` while it waits.
struct Caller {
    place: Place,
    id: usize,
    answer: Option<Found<u32, &'static str>>,
}

/// The queue and the naive one side by side; every step is compared.
#[derive(Default)]
struct Pair {
    queue: TestQueue,
    naive: Naive,
    callers: Vec<Caller>,
    joined: Vec<Ask>,
    /// Who was granted, in order.
    granted: Vec<usize>,
}

impl Pair {
    fn run(&mut self, ops: &[Op]) {
        for op in ops {
            self.step(*op);
            self.compare();
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Join(ask) => {
                let (place, id) = (self.queue.join(ask), self.joined.len());
                self.joined.push(ask);
                self.naive.join(id, ask);
                self.callers.push(Caller { place, id, answer: None });
            }
            Op::Grant => {
                let number = self.granted.len() as u32;
                self.queue.grant_next(number);
                if let Some(id) = self.naive.grant() {
                    self.granted.push(id);
                    self.answer(id, Found::Granted(number));
                }
            }
            Op::RefuseNext => {
                self.queue.refuse_next("never");
                self.refuse("never");
            }
            Op::RefuseAll => {
                self.queue.refuse_all("tripped", &mut Vec::new());
                while !self.naive.waiting.is_empty() {
                    self.refuse("tripped");
                }
            }
            Op::Leave(_) | Op::Look(_) if self.callers.is_empty() => {}
            Op::Leave(which) => {
                let caller = self.callers.swap_remove(which.index(self.callers.len()));
                self.naive.leave(caller.id);
                let granted = match caller.answer {
                    Some(Found::Granted(number)) => Some(number),
                    _ => None,
                };
                assert_eq!(self.queue.leave(caller.place), granted);
                assert!(!self.queue.contains(caller.place));
            }
            Op::Look(which) => self.look(which.index(self.callers.len())),
        }
    }

    fn refuse(&mut self, why: &'static str) {
        if let Some((id, _)) = self.naive.next() {
            self.naive.leave(id);
            self.answer(id, Found::Refused(why));
        }
    }

    fn answer(&mut self, id: usize, answer: Found<u32, &'static str>) {
        let caller = self.callers.iter_mut().find(|caller| caller.id == id).unwrap();
        caller.answer = Some(answer);
    }

    fn look(&mut self, which: usize) {
        let caller = &self.callers[which];
        let first = self.naive.next().is_some_and(|(id, _)| id == caller.id);
        let found = look(&mut self.queue, caller.place);
        match &caller.answer {
            None if first => assert_eq!(found, Found::First),
            None => assert_eq!(found, Found::Behind),
            Some(answer) => {
                assert_eq!(found, *answer);
                self.callers.swap_remove(which);
            }
        }
    }

    fn compare(&self) {
        let next = self.naive.next();
        let place = |id| self.callers.iter().find(|caller| caller.id == id).unwrap().place;
        assert_eq!(self.queue.next(), next.map(|(id, _)| place(id)));
        assert_eq!(self.queue.next_ask(), next.map(|(_, ask)| ask));
        assert_eq!(self.queue.len(), self.naive.waiting.len());
        assert_eq!(self.queue.is_empty(), self.naive.waiting.is_empty());
        assert_eq!(self.queue.waiters.size().0, self.callers.len());
        for caller in &self.callers {
            assert_eq!(self.queue.contains(caller.place), caller.answer.is_none());
        }
        for (level, round) in self.queue.levels.iter().zip(&self.naive.rounds) {
            assert_eq!(level.size().0, round.len());
        }
    }

    /// Serves all who wait; answers everyone who was ever granted.
    fn granted(mut self) -> Vec<usize> {
        while !self.queue.is_empty() {
            self.run(&[Op::Grant]);
        }
        self.granted
    }
}

fn fifo(pair: Pair) {
    let joined = pair.joined.clone();
    let mut last = std::collections::HashMap::new();
    for id in pair.granted() {
        let line = (joined[id].get_priority(), joined[id].get_turn());
        let before = last.insert(line, id);
        assert!(before < Some(id), "{before:?} before {id} in {line:?}");
    }
}

/// At most nine grants go elsewhere while somebody waits under a priority.
fn nobody_starves(pair: Pair, ops: &[Op]) {
    let mut pair = pair;
    let mut elsewhere = [0; 3];
    for op in ops {
        let before = pair.granted.len();
        pair.run(&[*op]);
        if let Some(id) = pair.granted.get(before) {
            elsewhere.iter_mut().for_each(|grants| *grants += 1);
            elsewhere[pair.joined[*id].get_priority() as usize] = 0;
        }
        for (grants, round) in elsewhere.iter_mut().zip(&pair.naive.rounds) {
            *grants = if round.is_empty() { 0 } else { *grants };
            assert!(*grants <= AGE_TURNS + 1, "{elsewhere:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_does_what_the_naive_one_does(ops in prop::collection::vec(ops(), 0..300)) {
        let mut pair = Pair::default();
        pair.run(&ops);
        fifo(pair);
    }

    #[test]
    fn no_priority_starves(
        crowd in prop::collection::vec(asks(), 0..100),
        ops in prop::collection::vec(prop_oneof![1 => ops(), 2 => Just(Op::Grant)], 0..300),
    ) {
        let mut pair = Pair::default();
        pair.run(&crowd.into_iter().map(Op::Join).collect::<Vec<_>>());
        nobody_starves(pair, &ops);
    }

    #[test]
    fn who_comes_and_goes_leaves_no_trace(
        before in prop::collection::vec(ops(), 0..100),
        meanwhile in prop::collection::vec(asks(), 0..20),
        after in prop::collection::vec(ops(), 0..100),
        visitor in asks(),
    ) {
        // With others that come meanwhile, a key of its own: who stands behind the visitor in one line gets its turn.
        let visitor = if meanwhile.is_empty() { visitor } else { visitor.turn(99, 3) };
        let granted = |visit: bool| {
            let mut pair = Pair::default();
            pair.run(&before);
            let place = visit.then(|| pair.queue.join(visitor));
            meanwhile.iter().for_each(|ask| pair.step(Op::Join(*ask)));
            if let Some(place) = place {
                assert_eq!(pair.queue.leave(place), None);
            }
            pair.compare();
            pair.run(&after);
            pair.granted()
        };
        prop_assert_eq!(granted(true), granted(false));
    }
}
