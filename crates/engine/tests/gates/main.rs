//! Two gates, caps, storms and breakers through the whole engine, in virtual time (spec G2, G8, G9, R3, R5). One binary, for
//! link time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod breaker;
mod cancel;
mod caps;
mod named;
mod shared;
mod sources;
mod storm;
mod support;
