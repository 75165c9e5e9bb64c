//! What the callers of a scene do: wait, give up, make calls that end in every way; and the vendor that counts them.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use paceline_clock::Tick;
use shuttle::rand::{Rng, thread_rng};

use super::World;
use crate::{Outcome, OutcomeClass, Permit};

/// Counts calls as the strictest vendor would.
#[derive(Clone)]
pub(super) struct Vendor(Arc<Counts>);

struct Counts {
    per_second: usize,
    at_once: usize,
    counted: Mutex<Vec<Tick>>,
    under_way: AtomicUsize,
}

impl Vendor {
    /// One that accepts so many calls in any second, and so many at once; `None` for as many as come.
    pub(super) fn of(per_second: Option<u32>, at_once: Option<u32>) -> Self {
        let most = |limit: Option<u32>| limit.map_or(usize::MAX - 1, |limit| limit as usize);
        let (per_second, at_once) = (most(per_second), most(at_once));
        let (counted, under_way) = (Mutex::default(), AtomicUsize::new(0));
        Self(Arc::new(Counts { per_second, at_once, counted, under_way }))
    }

    fn begins(&self) {
        let under_way = self.0.under_way.fetch_add(1, SeqCst) + 1;
        assert!(under_way <= self.0.at_once, "{under_way} calls at once");
    }

    fn counts(&self, now: Tick) {
        let mut counted = self.0.counted.lock().unwrap();
        counted.push(now);
        if let Some(first) = counted.len().checked_sub(self.0.per_second + 1) {
            let took = now - counted[first];
            assert!(took >= Duration::from_secs(1), "one call too many within {took:?}");
        }
    }

    fn ends(&self) {
        self.0.under_way.fetch_sub(1, SeqCst);
    }
}

impl World {
    /// Makes a call that ends in any way there is.
    pub(super) fn call(&self, vendor: &Vendor, mut permit: Permit) {
        let way = thread_rng().gen_range(0..6);
        vendor.begins();
        if thread_rng().gen_bool(0.2) {
            self.sleep_ms(thread_rng().gen_range(1..3000));
        }
        if way < 2 {
            vendor.ends();
            match way {
                0 => drop(permit),
                _ => permit.not_sent(None),
            }
            return;
        }
        permit.sent();
        if thread_rng().gen_bool(0.3) {
            self.sleep_ms(thread_rng().gen_range(1..1500));
        }
        vendor.counts(self.clock().now());
        if way > 3 {
            permit.seen();
        }
        vendor.ends();
        match way {
            2 => drop(permit),
            _ => permit.finish(&Outcome::of(OutcomeClass::Success)),
        }
    }

    /// Waits until `future` or `enough` is over. Where both are, the answer is dropped unseen.
    pub(super) fn wait_or<T>(
        &self,
        future: impl Future<Output = T>,
        enough: impl Future<Output = ()>,
    ) -> Option<T> {
        // Boxed, because dropping it is what this is about: it must have happened when the caller goes on.
        let (mut future, mut enough) = (Box::pin(future), pin!(enough));
        self.wait(std::future::poll_fn(|cx| {
            if enough.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            future.as_mut().poll(cx).map(Some)
        }))
    }

    /// Waits for a permit, and may give up at any moment: told so by another thread, or by the time.
    pub(super) fn wait_or_give_up<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        match thread_rng().gen_range(0..6) {
            0 | 1 => {
                let flag = Flag::default();
                let told = flag.clone();
                self.spawn(move |_| flag.raise());
                self.wait_or(future, told)
            }
            2 => {
                let patience = Duration::from_millis(thread_rng().gen_range(0..1500));
                self.wait_or(future, self.clock().sleep(patience))
            }
            _ => Some(self.wait(future)),
        }
    }
}

/// Ends once it was raised.
#[derive(Clone, Default)]
pub(super) struct Flag(Arc<Mutex<(bool, Option<Waker>)>>);

impl Flag {
    pub(super) fn raise(&self) {
        let mut state = self.0.lock().unwrap();
        state.0 = true;
        let waker = state.1.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Future for Flag {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if state.0 {
            return Poll::Ready(());
        }
        state.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}
