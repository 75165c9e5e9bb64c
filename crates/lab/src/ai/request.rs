//! A request to a simulated vendor of language models, and what comes back.

use crate::wire::{VendorAnswer, VendorRequest};

/// A request; the key is in its headers.
pub type AiRequest = VendorRequest;

/// What comes back.
pub type AiAnswer = VendorAnswer;
