//! The store's address: what it says, what holds where it says nothing, and TLS.
//!
//! `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with parameters as PostgreSQL's own programs know them. Two of them
//! are read here. `sslmode`: where it is not given, TLS is used for every host but this machine; and where TLS is used,
//! the server's certificate and name are checked, for `prefer` and `require` too, because an unchecked certificate
//! keeps out nobody who can listen. `sslrootcert` names the file of the certificate authority, if it is not one that
//! this machine trusts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use paceline_model::{Error, Result};
use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Time to make one connection, per address of the host.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A server that has said nothing for so long is asked whether it is there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
/// Bytes that were sent and not confirmed for so long mean that the server is gone.
const UNCONFIRMED_MAX: Duration = Duration::from_secs(30);

/// Whether the text names a PostgreSQL database (and not a directory).
#[must_use]
pub fn is_postgres_url(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// What connections are made with. Its Debug shows no password: the driver's does not.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: MakeRustlsConnect,
}

impl Target {
    /// Fails with `Invalid` if the address cannot be read, without repeating it: there is a password in it.
    pub(super) fn parse(url: &str) -> Result<Self> {
        if !is_postgres_url(url) {
            return Err(unreadable("it does not begin with postgres://"));
        }
        // A password may hold the sign that parameters begin with; it ends at the first @.
        let (user, rest) = url.split_at(url.find('@').unwrap_or(0));
        let (host, given) = rest.split_once('?').unwrap_or((rest, ""));
        let mut others = Vec::new();
        let (mut mode, mut authority) = (None, None);
        for pair in given.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(parse_mode(value)?),
                Some(("sslrootcert", value)) => {
                    authority = Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
                }
                _ => others.push(pair),
            }
        }
        let plain = format!("{user}{host}?{}", others.join("&"));
        // Not the driver's own words: after a mistake in the password they may repeat a part of it.
        let mut config: Config =
            plain.parse().map_err(|_| unreadable("its parts cannot be told"))?;
        let unnamed = |host: &Host| matches!(host, Host::Tcp(name) if name.is_empty());
        if config.get_hosts().is_empty() || config.get_hosts().iter().any(unnamed) {
            return Err(unreadable("it names no host"));
        }
        let local = config.get_hosts().iter().all(is_this_machine);
        let mode = mode.unwrap_or(if local { SslMode::Disable } else { SslMode::Require });
        config.ssl_mode(mode);
        set_waits(&mut config);
        let roots = roots(mode, authority.as_deref())?;
        Ok(Self { config, tls: MakeRustlsConnect::new(client_config(roots)?) })
    }

    /// The database's name, for messages.
    pub(super) fn database(&self) -> &str {
        self.config.get_dbname().or(self.config.get_user()).unwrap_or("postgres")
    }
}

fn unreadable(why: &str) -> Error {
    Error::invalid(format!(
        "the store's address is no PostgreSQL address ({why}); write \
         postgres://USER:PASSWORD@HOST:PORT/DATABASE, with signs like @ / ? # of the password as %40 %2F %3F %23"
    ))
}

fn parse_mode(value: &str) -> Result<SslMode> {
    match value {
        "disable" => Ok(SslMode::Disable),
        "allow" | "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-ca" | "verify-full" => Ok(SslMode::Require),
        _ => Err(Error::invalid(
            "sslmode of the store's address is disable, prefer, require, verify-ca or verify-full",
        )),
    }
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

fn set_waits(config: &mut Config) {
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_MAX);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNCONFIRMED_MAX);
    }
    if config.get_application_name().is_none() {
        config.application_name("paceline");
    }
    config.keepalives_idle(KEEPALIVE_IDLE);
    config.keepalives_interval(KEEPALIVE_INTERVAL);
    config.keepalives_retries(KEEPALIVE_RETRIES);
}

/// Whom to trust: the given authority, or those that this machine trusts.
fn roots(mode: SslMode, authority: Option<&str>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if mode == SslMode::Disable {
        return Ok(roots);
    }
    let Some(file) = authority.filter(|file| *file != "system") else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let refused = |why: String| Error::invalid(format!("sslrootcert {file:?}: {why}"));
    let certificates = CertificateDer::pem_file_iter(file).map_err(|e| refused(e.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|e| refused(e.to_string()))?;
        roots.add(certificate).map_err(|e| refused(e.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refused("there is no certificate in it".into()));
    }
    Ok(roots)
}

fn client_config(roots: RootCertStore) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::invalid(format!("TLS cannot be set up: {error}")))?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        Target::parse(url).unwrap().config.get_ssl_mode()
    }

    #[test]
    fn tls_is_for_every_host_but_this_machine_unless_the_address_says_otherwise() {
        let cases = [
            ("postgres://u:p@localhost/db", SslMode::Disable),
            ("postgres://u@127.0.0.1:5432/db", SslMode::Disable),
            ("postgresql://u@%2Ftmp%2Fsocket/db", SslMode::Disable),
            ("postgres://u:p@db.example/db", SslMode::Require),
            ("postgres://u:p@db.example/db?sslmode=disable", SslMode::Disable),
            ("postgres://u:p?q@db.example/db?sslmode=disable", SslMode::Disable),
            ("postgres://u:p@db.example/db?application_name=x&sslmode=prefer", SslMode::Prefer),
            ("postgres://u:p@localhost/db?sslmode=verify-full", SslMode::Require),
        ];
        for (url, wanted) in cases {
            assert_eq!(mode(url), wanted, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let cases = [
            ("mysql://u:hidden@h/db", "postgres://"),
            ("postgres://u:hidden@h:port/db", "parts"),
            ("postgres://u:hidden@/db", "host"),
            ("postgres://u:hidden@h/db?sslmode=maybe", "verify-full"),
            ("postgres://u:hidden@h/db?hidden=1", "parts"),
            ("postgres://u:hidden@h/db?sslrootcert=%2Fnot%2Fthere.pem", "/not/there.pem"),
        ];
        for (url, wanted) in cases {
            let error = Target::parse(url).map(|_| ()).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, Error::Invalid(_)) && text.contains(wanted), "{url}: {text}");
            assert!(!text.contains("hid") && !text.contains("den@"), "{text}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        let target = Target::parse("postgres://user:hidden@localhost/db").unwrap();
        assert!(!format!("{:?}", target.config).contains("hidden"));
        assert_eq!(target.database(), "db");
    }
}
