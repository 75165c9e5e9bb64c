//! The API as its callers see it: requests in, replies out, through the router that the server serves; a real store, and
//! virtual time.

mod auth;
mod columns;
mod contract;
mod errors;
mod rows;
mod runs;
mod serve;
mod sick_store;
mod support;
mod tables;
