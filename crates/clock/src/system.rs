//! The only file that asks the operating system for time or entropy.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the door that the lint points everyone else to"
)]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::{Sleep, Source, Tick, Timestamp};

pub(crate) struct SystemClock {
    began: Instant,
}

impl SystemClock {
    pub(crate) fn start() -> Self {
        Self { began: Instant::now() }
    }
}

impl Source for SystemClock {
    fn now(&self) -> Tick {
        Tick::SYSTEM_START + self.began.elapsed()
    }

    fn wall(&self) -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |m| -m),
        };
        Timestamp::from_micros(micros)
    }

    fn sleep_until(&self, deadline: Tick) -> Sleep {
        if deadline == Tick::NEVER {
            return Box::pin(std::future::pending());
        }
        let instant = self.began.checked_add(deadline - Tick::SYSTEM_START);
        Box::pin(async move {
            match instant {
                Some(instant) => tokio::time::sleep_until(instant.into()).await,
                None => std::future::pending().await,
            }
        })
    }
}

pub(crate) fn seed_from_os() -> StdRng {
    StdRng::from_rng(&mut rand::rng())
}
