//! The lab against independent definitions of what it should do: the zoo, the vendor in virtual time, the server over
//! sockets.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod ai;
mod client;
mod geo;
mod hex;
mod http;
mod http_faults;
mod naive;
mod property_s;
mod slack;
mod vendor;
mod vendor_headers;
mod webhook;
mod zoo;
