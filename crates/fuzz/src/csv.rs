//! CSV. (waits for the reader)

/// Waits for the reader.
pub fn csv(_data: &[u8]) {}
