//! The script by itself.
