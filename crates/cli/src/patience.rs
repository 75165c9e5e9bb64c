//! A process that was just killed holds its locks for a moment longer: whoever starts the next one at once should not
//! be sent away for that.

use std::time::Duration;

use paceline_clock::Clock;

use crate::exit::Failure;

/// How long a dying process is waited for.
const WAIT: Duration = Duration::from_secs(1);
/// How often it is looked whether it is gone.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Tries to open something until nobody else holds it, for a second at most.
pub(crate) async fn patiently<T>(
    clock: &Clock,
    mut open: impl FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let until = clock.now() + WAIT;
    loop {
        match open() {
            Err(failure) if failure.is_busy && clock.now() < until => clock.sleep(LOOK_EVERY).await,
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use paceline_clock::{SimClock, Tick};

    use super::*;
    use crate::exit::{busy, usage};

    fn opened_after(looks: u32, failure: fn(&str) -> Failure) -> (bool, u32, Tick) {
        SimClock::new().run(|clock| async move {
            let mut tries = 0;
            let opened = patiently(&clock, || {
                tries += 1;
                if tries > looks { Ok(()) } else { Err(failure("held")) }
            });
            let opened = opened.await.is_ok();
            (opened, tries, clock.now())
        })
    }

    #[test]
    fn a_dying_holder_is_waited_for_a_living_one_is_not_and_no_other_failure_is() {
        assert_eq!(opened_after(3, |text| busy(text)), (true, 4, Tick::from_millis(60)));
        let (opened, _, gave_up_at) = opened_after(u32::MAX, |text| busy(text));
        assert_eq!((opened, gave_up_at), (false, Tick::from_millis(1_000)));
        assert_eq!(opened_after(3, |text| usage(text)), (false, 1, Tick::ZERO));
    }
}
