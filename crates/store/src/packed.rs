//! Long lists of numbers as short blobs: the rows of a change, the times of a batch of calls. Neighbours differ by
//! little, so each number is kept as its difference from the one before, seven bits to a byte.

use paceline_clock::Timestamp;
use paceline_model::{Error, RowId, SentRecord};

use crate::error::Result;

/// Rows as a blob; smallest when they ascend.
pub(crate) fn pack_rows(rows: &[RowId]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(rows.len() * 2);
    let mut previous = 0;
    for row in rows {
        push(&mut blob, row.0.wrapping_sub(previous));
        previous = row.0;
    }
    blob
}

/// The rows of a blob that [`pack_rows`] made.
pub(crate) fn unpack_rows(blob: &[u8]) -> Result<Vec<RowId>> {
    let mut reader = Reader(blob);
    let mut rows = Vec::new();
    let mut previous = 0_i64;
    while !reader.0.is_empty() {
        previous = previous.wrapping_add(reader.next()?);
        rows.push(RowId(previous));
    }
    Ok(rows)
}

/// Calls as a blob; smallest when they ascend.
pub(crate) fn pack_calls(calls: &[SentRecord]) -> Vec<u8> {
    let mut blob = Vec::with_capacity(calls.len() * 6);
    let mut previous = 0;
    for call in calls {
        let (sent, seen) = (call.sent_at.as_micros(), call.seen_at.as_micros());
        push(&mut blob, seen.wrapping_sub(previous));
        push(&mut blob, seen.wrapping_sub(sent));
        previous = seen;
    }
    blob
}

/// The calls of a blob that [`pack_calls`] made.
pub(crate) fn unpack_calls(blob: &[u8]) -> Result<Vec<SentRecord>> {
    let mut reader = Reader(blob);
    let mut calls = Vec::new();
    let mut seen = 0_i64;
    while !reader.0.is_empty() {
        seen = seen.wrapping_add(reader.next()?);
        let sent = seen.wrapping_sub(reader.next()?);
        calls.push(SentRecord {
            sent_at: Timestamp::from_micros(sent),
            seen_at: Timestamp::from_micros(seen),
        });
    }
    Ok(calls)
}

/// Appends a number: zigzag, so that small negative ones are short too, then seven bits to a byte.
fn push(blob: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while rest >= 0x80 {
        blob.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    blob.push(rest as u8);
}

struct Reader<'b>(&'b [u8]);

impl Reader<'_> {
    fn next(&mut self) -> Result<i64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some((&byte, rest)) = self.0.split_first() else { break };
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
            }
        }
        Err(Error::Corrupt("a packed list of numbers ends in the middle of one".into()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_come_back(rows in prop::collection::vec(any::<i64>().prop_map(RowId), 0..50)) {
            prop_assert_eq!(unpack_rows(&pack_rows(&rows)).unwrap(), rows);
        }

        #[test]
        fn calls_come_back(times in prop::collection::vec(any::<(i64, i64)>(), 0..50)) {
            let calls: Vec<SentRecord> = times
                .into_iter()
                .map(|(sent, seen)| SentRecord {
                    sent_at: Timestamp::from_micros(sent),
                    seen_at: Timestamp::from_micros(seen),
                })
                .collect();
            prop_assert_eq!(unpack_calls(&pack_calls(&calls)).unwrap(), calls);
        }

        /// Damage is an error or other numbers, never a panic.
        #[test]
        fn any_bytes_are_survived(blob in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = unpack_rows(&blob);
            let _ = unpack_calls(&blob);
        }
    }

    #[test]
    fn neighbours_are_short() {
        let rows: Vec<RowId> = (1_000_000..1_001_000).map(RowId).collect();
        assert!(pack_rows(&rows).len() < 1_010);
    }

    #[test]
    fn a_blob_that_breaks_off_is_corrupt() {
        assert!(matches!(unpack_rows(&[0x80]).unwrap_err().0, Error::Corrupt(_)));
    }
}
