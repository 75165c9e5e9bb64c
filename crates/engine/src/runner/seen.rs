//! Which calls a run may have made before: a Bloom filter, so that a run of a million distinct calls need not ask the
//! store about each of them.

use paceline_model::limits;

/// At ten bits a key and four looks, one new key in eighty is taken for a known one, and asked about in vain.
const BITS_PER_KEY: u64 = 10;
const LOOKS: u64 = 4;

/// Keys that were added, and a few that were not.
pub(super) struct Seen {
    words: Vec<u64>,
}

impl Seen {
    /// For about so many keys. More of them cost look-ups, never an answer.
    pub(super) fn sized(keys: u64) -> Self {
        let bits = keys.saturating_mul(BITS_PER_KEY).clamp(64, limits::SEEN_CALLS_BITS_MAX);
        Self { words: vec![0; (bits.next_power_of_two() / 64) as usize] }
    }

    /// Adds a key; false if it was certainly not there before.
    pub(super) fn add(&mut self, key: [u8; 16]) -> bool {
        // The key is a hash: its halves are as good as two hash functions.
        let (whole, mask) = (u128::from_le_bytes(key), self.words.len() as u64 - 1);
        let (start, step) = (whole as u64, (whole >> 64) as u64 | 1);
        let mut known = true;
        for look in 0..LOOKS {
            let at = start.wrapping_add(look.wrapping_mul(step));
            let bit = 1 << (at & 63);
            if let Some(word) = self.words.get_mut(((at >> 6) & mask) as usize) {
                known &= *word & bit != 0;
                *word |= bit;
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> [u8; 16] {
        let hash = blake3::hash(&number.to_le_bytes());
        *hash.as_bytes().first_chunk().unwrap()
    }

    #[test]
    fn a_key_that_was_added_is_always_known_and_few_others_are() {
        let mut seen = Seen::sized(10_000);
        let taken_for_known = (0..10_000).filter(|number| seen.add(key(*number))).count();
        assert!(taken_for_known < 200, "{taken_for_known} of 10,000");
        assert!((0..10_000).all(|number| seen.add(key(number))));
    }

    #[test]
    fn any_number_of_keys_takes_bounded_memory() {
        for keys in [0, 1, u64::MAX] {
            let mut seen = Seen::sized(keys);
            assert!(seen.words.len() as u64 * 64 <= limits::SEEN_CALLS_BITS_MAX);
            assert_eq!([seen.add(key(1)), seen.add(key(1))], [false, true]);
        }
    }
}
