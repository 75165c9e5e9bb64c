//! Who is let in: the keys, the limits of calls and the audit log together. Every face asks here.

use std::net::IpAddr;

use super::audit::Audit;
use super::caller::Face;
use super::gate::{Gate, Quota};
use super::keyring::KeyRing;
use super::{Caller, bearer};
use crate::AppParts;
use crate::error::{ApiError, Code, Result};

/// The door of the server.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) keys: KeyRing,
    pub(crate) audit: Audit,
    gate: Gate,
}

/// What a request shows to be let in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown<'a> {
    /// The value of its Authorization header.
    Header(&'a str),
    /// The key itself, from wherever else a face takes it.
    Key(&'a str),
    Nothing,
}

/// A caller who was let in, and how its key stands with its limit.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) caller: Caller,
    pub(crate) quota: Option<Quota>,
}

/// Who was not let in; a known key over its limit is told how it stands.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) error: ApiError,
    pub(crate) quota: Option<Quota>,
}

impl Access {
    pub(crate) fn new(parts: &AppParts) -> Self {
        let (store, clock) = (parts.engine.store(), &parts.clock);
        Self {
            keys: KeyRing::new(store.clone(), clock.clone(), parts.keys.clone()),
            audit: Audit::new(store.clone(), clock.clone()),
            gate: Gate::new(
                parts.config.key_limit,
                parts.config.limits.stranger_tries_max,
                clock.clone(),
            ),
        }
    }

    /// Lets a caller in, and counts the call. `what` is being tried, for the log.
    pub(crate) async fn enter(
        &self,
        shown: Shown<'_>,
        address: Option<IpAddr>,
        face: Face,
        what: &str,
    ) -> std::result::Result<Entry, Refused> {
        let refuse = |error: ApiError| Refused { error, quota: None };
        let (key, name, scope) = match self.holder(shown).await {
            Ok(Ok(holder)) => holder,
            Ok(Err(why)) => return Err(refuse(self.stranger(address, what, why))),
            Err(error) => return Err(refuse(error)),
        };
        match self.gate.pass(key) {
            Ok(quota) => Ok(Entry { caller: Caller { key, name, scope, address, face }, quota }),
            Err((quota, wait)) => Err(Refused { error: quota.refusal(wait), quota: Some(quota) }),
        }
    }

    /// Whose key was shown, or why it is nobody's.
    async fn holder(
        &self,
        shown: Shown<'_>,
    ) -> Result<
        std::result::Result<(super::KeyId, std::sync::Arc<str>, crate::KeyScope), &'static str>,
    > {
        let key = match shown {
            Shown::Key(key) => key,
            Shown::Nothing => return Ok(Err("there is no key with this request")),
            Shown::Header(value) => match bearer(value) {
                Some(key) => key,
                None => {
                    return Ok(Err("the Authorization header is not of the form `Bearer KEY`"));
                }
            },
        };
        let holder = self.keys.holder(key).await?;
        Ok(holder.ok_or("this key is not known here, or it was revoked"))
    }

    /// Somebody without a good key: on record, but not so often that it fills the log.
    fn stranger(&self, address: Option<IpAddr>, what: &str, why: &'static str) -> ApiError {
        if !self.gate.stranger(address) {
            let message = "too many requests without a good key came from this address";
            return ApiError::new(Code::RateLimited, message)
                .retry_after(paceline_model::limits::STRANGER_WINDOW)
                .fix("wait, then send a key that this server knows");
        }
        if self.gate.worth_a_line() {
            self.audit.stranger(address, what, why);
        }
        ApiError::new(Code::Unauthorized, why)
    }
}
