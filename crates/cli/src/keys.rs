//! The key of a data directory: 32 random bytes in a file that only its owner may read. It seals the secrets kept in the
//! directory's database.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use paceline_clock::Random;

/// The file's name inside the directory.
const FILE: &str = "secret.key";
const KEY_BYTES: usize = 32;

/// The directory's key; made if there is none.
pub(crate) fn directory_key(dir: &Path, random: &Random) -> io::Result<[u8; KEY_BYTES]> {
    let path = dir.join(FILE);
    match fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            let message =
                format!("{} is not a key: it must hold {KEY_BYTES} bytes", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = [0; KEY_BYTES];
            random.fill(&mut key);
            let mut file =
                OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(&key)?;
            file.sync_all()?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}
