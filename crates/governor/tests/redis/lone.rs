//! One process and its server.
