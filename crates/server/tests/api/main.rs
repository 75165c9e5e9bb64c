//! The API as its callers see it: requests in, replies out, through the router that the server serves; a real store, and
//! virtual time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod auth;
mod budgets;
mod columns;
mod contract;
mod errors;
mod files;
mod functions;
mod guard;
mod holes;
mod keys;
mod log;
mod mcp;
mod openapi;
mod outside;
mod plans;
mod promise;
mod providers;
mod proxy;
mod rows;
mod rows_change;
mod rows_query;
mod runs;
mod schema;
mod serve;
mod sick_store;
mod sources;
mod sources_pull;
mod support;
mod system;
mod tables;
mod values;
mod webhooks;
mod webhooks_triggers;
mod world;
mod wrong_calls;
