//! Ids that look like Hex's: UUIDs for runs, 32 hex digits for traces.

use paceline_clock::Random;

/// A random UUID, version 4.
pub(super) fn run(random: &Random) -> String {
    let (high, low) = (random.next_u64(), random.next_u64());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0x0fff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff,
    )
}

pub(super) fn trace(random: &Random) -> String {
    format!("{:016x}{:016x}", random.next_u64(), random.next_u64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_is_a_uuid_of_version_4() {
        let random = Random::seeded(1);
        for _ in 0..1_000 {
            let id = run(&random);
            let lengths: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(lengths, [8, 4, 4, 4, 12], "{id}");
            let bytes = id.as_bytes();
            assert!(bytes[14] == b'4' && b"89ab".contains(&bytes[19]), "{id}");
        }
        assert_eq!(trace(&random).len(), 32);
    }
}
