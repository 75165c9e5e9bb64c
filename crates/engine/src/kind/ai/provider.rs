//! Where a column's questions go and with whose key: a key of its own, or a provider that a person stored.

use http::{HeaderName, HeaderValue};
use paceline_model::{Store, suggest};
use url::Url;

use super::spec::{AiSpec, Found, field};
use crate::ai_service::{AiProvider, AiService, Dialect};
use crate::kind::{Called, host_of};
use crate::{Error, OutboundGuard, Result, Sealer};

/// Where questions go.
pub(super) struct Endpoint {
    pub(super) service: &'static AiService,
    pub(super) base: Url,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl AiSpec {
    /// The stored provider that it needs: the one it names, or the default of its service. None if it has a key of its own,
    /// or says where a service is that may want none.
    pub(super) fn wants_stored(&self) -> Option<&str> {
        let own = self.api_key.is_some() || self.found.is_some();
        let keyless = self.is_compatible() && self.base_url.is_some();
        (!own && !keyless).then_some(self.provider.as_str())
    }

    fn is_compatible(&self) -> bool {
        let service = AiService::named(&self.provider);
        service.is_some_and(|service| service.base_url.is_none())
    }

    /// Whom it calls and with whose key, as far as that is known.
    pub(super) fn called(&self) -> Option<Called> {
        let (base, secret) = match &self.found {
            Some(found) => (Some(found.base_url.as_str()), Some(&found.key)),
            None => (self.base_url.as_deref(), self.api_key.as_ref()),
        };
        let service = AiService::named(&self.provider).and_then(|service| service.base_url);
        Some(Called { host: host_of(base.or(service)?)?, secret: secret.cloned() })
    }

    /// Where its questions go; none as long as a stored provider was not looked up.
    ///
    /// # Errors
    /// The field that is wrong, as far as that can be told without the stored provider.
    pub(super) fn endpoint(&self, guard: &OutboundGuard) -> Result<Option<Endpoint>> {
        let (service, base, key) = match &self.found {
            Some(found) => {
                (AiService::named(&found.service), Some(&found.base_url), Some(&found.key))
            }
            None => {
                (AiService::named(&self.provider), self.base_url.as_ref(), self.api_key.as_ref())
            }
        };
        let Some(service) = service else {
            if self.api_key.is_some() || self.base_url.is_some() {
                let names = AiService::NAMES.join(", ");
                let problem = format!(
                    "is not one of {names}; a column with a key or an address of its own needs one of these (a stored \
                     provider has both)"
                );
                return Err(Error::Config {
                    field: "config.provider".to_owned(),
                    problem,
                    did_you_mean: suggest(&self.provider, AiService::NAMES).map(str::to_owned),
                });
            }
            return Ok(None);
        };
        if service.dialect == Dialect::Anthropic && self.temperature.is_some_and(|t| t > 1.0) {
            return Err(field("temperature", "must be from 0 to 1 for anthropic"));
        }
        let base = base.map(String::as_str).or(service.base_url);
        let Some(base) = base else {
            if self.api_key.is_none() {
                return Ok(None);
            }
            return Err(field(
                "base_url",
                "is required for an openai_compatible provider: where it is",
            ));
        };
        let base = checked(base, key.is_some(), guard)?;
        if key.is_none() && self.wants_stored().is_some() {
            return Ok(None);
        }
        let headers = match key {
            Some(key) => service.credentials(key).ok_or_else(|| field("api_key", "is no key"))?,
            None => service.version().into_iter().collect(),
        };
        Ok(Some(Endpoint { service, base, headers }))
    }
}

/// An address that may be called, and a key shown to.
fn checked(base: &str, has_key: bool, guard: &OutboundGuard) -> Result<Url> {
    let url = guard.check_url(base)?;
    // Inside the network, where the operator allows it, there may be no TLS.
    if has_key && url.scheme() == "http" && OutboundGuard::default().check_url(base).is_ok() {
        let problem = "is http:, and a key goes to a public address over https: only";
        return Err(field("base_url", problem));
    }
    Ok(url)
}

/// The stored provider of that name, or the default of the service of that name, with its key open.
///
/// # Errors
/// [`Error::Config`] if there is none, or its key does not open.
pub(crate) async fn stored(
    store: &dyn Store,
    sealer: Option<&Sealer>,
    name: &str,
) -> Result<Found> {
    let items = store.items(AiProvider::KIND, None).await?;
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        let provider = AiProvider::read(&item)?;
        all.push((item, provider));
    }
    let named = all.iter().find(|(item, _)| item.name == name);
    let service = AiService::named(name).map(|service| service.name);
    let default = || AiProvider::default_of(&all, service?);
    let Some((_, provider)) = named.or_else(default) else {
        let labels = all.iter().map(|(item, _)| item.name.as_str());
        let known = labels.chain(AiService::NAMES);
        let problem = match service {
            Some(_) => "has no key: give config.api_key, or store a provider with a key first",
            None => "is no service and no stored provider; name one of these, or store it first",
        };
        return Err(Error::Config {
            field: "config.provider".to_owned(),
            problem: format!("{name:?} {problem}"),
            did_you_mean: suggest(name, known).filter(|known| *known != name).map(str::to_owned),
        });
    };
    let base = Url::parse(&provider.base_url)
        .map_err(|error| field("provider", &format!("{name:?} has no address: {error}")))?;
    let key = sealer.and_then(|sealer| provider.open_key(sealer, &base)).ok_or_else(|| {
        field("provider", "has a key that does not open with this data directory's secret; save the provider again")
    })?;
    Ok(Found { service: provider.provider.clone(), base_url: provider.base_url.clone(), key })
}
