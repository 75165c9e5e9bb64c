//! What a cell was made from, as the two columns that every backend keeps it in.

use paceline_model::{Error, Fingerprint};

use crate::error::Result;

/// The key, and the parts with four bytes each, little end first; both empty for a cell of which nothing is known.
pub(crate) fn to_columns(fingerprint: Option<&Fingerprint>) -> (Option<&[u8]>, Option<Vec<u8>>) {
    let Some(fingerprint) = fingerprint else { return (None, None) };
    let parts = fingerprint.parts.iter().flat_map(|part| part.to_le_bytes()).collect();
    (fingerprint.key.as_ref().map(<[u8; 16]>::as_slice), Some(parts))
}

/// Fails with `Corrupt` if they were never written here.
pub(crate) fn from_columns(
    key: Option<Vec<u8>>,
    parts: Option<Vec<u8>>,
) -> Result<Option<Fingerprint>> {
    if key.is_none() && parts.is_none() {
        return Ok(None);
    }
    let corrupt = || Error::Corrupt("the fingerprint of a cell has the wrong length".into());
    let key = key.map(|key| <[u8; 16]>::try_from(key).map_err(|_| corrupt())).transpose()?;
    let parts = parts.unwrap_or_default();
    let (whole, rest) = parts.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(corrupt().into());
    }
    let parts = whole.iter().map(|part| u32::from_le_bytes(*part)).collect();
    Ok(Some(Fingerprint { key, parts }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(key: Option<[u8; 16]>, parts: Vec<u32>, known: bool) {
            let fingerprint = known.then_some(Fingerprint { key, parts });
            let (key, parts) = to_columns(fingerprint.as_ref());
            prop_assert_eq!(from_columns(key.map(<[u8]>::to_vec), parts).unwrap(), fingerprint);
        }
    }

    #[test]
    fn the_little_end_comes_first_and_other_lengths_are_corrupt() {
        let made_from = Fingerprint { key: None, parts: vec![1, 0x0203_0405] };
        assert_eq!(to_columns(Some(&made_from)).1.unwrap(), [1, 0, 0, 0, 5, 4, 3, 2]);
        for (key, parts) in [(Some(vec![0; 15]), Some(vec![])), (None, Some(vec![0; 6]))] {
            let fault = from_columns(key, parts).unwrap_err();
            assert!(matches!(fault.0, Error::Corrupt(_)));
        }
    }
}
