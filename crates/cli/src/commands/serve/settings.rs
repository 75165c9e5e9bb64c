//! `--limits FILE`: the limits that whoever operates this server has set.

use std::io::Read;
use std::path::Path;

use paceline_model::limits::Settings;

use crate::exit::{Failure, usage};

/// A file of settings is a few lines.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// The settings of a file; the defaults if there is none.
pub(super) fn read(path: Option<&Path>) -> Result<Settings, Failure> {
    let Some(path) = path else { return Ok(Settings::default()) };
    let told = |what: String| {
        usage(format!("{}: {what}; write it as {{\"column_concurrent_max\": 50}}", path.display()))
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|error| told(error.to_string()))?;
    let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    if read.map_err(|error| told(error.to_string()))? as u64 > FILE_BYTES_MAX {
        return Err(told(format!("is longer than {FILE_BYTES_MAX} bytes")));
    }
    let json =
        serde_json::from_str(&text).map_err(|error| told(format!("is not JSON: {error}")))?;
    Settings::from_json(&json).map_err(|error| usage(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_refused_with_its_name_and_what_is_wrong_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("limits.json");
        let cases = [
            ("", "is not JSON"),
            ("[]", "not one JSON object"),
            (r#"{"colum_rate_max": 5}"#, "did you mean \"column_rate_max\"?"),
            (r#"{"column_rate_max": 50000}"#, "50000 is not a number from 0.1 to 10000"),
        ];
        for (text, wanted) in cases {
            std::fs::write(&path, text).unwrap();
            let told = read(Some(&path)).unwrap_err().to_string();
            assert!(told.contains("limits.json") && told.contains(wanted), "{text}: {told}");
        }
        std::fs::write(&path, r#"{"column_concurrent_max": 50}"#).unwrap();
        assert_eq!(read(Some(&path)).unwrap().column_concurrent_max, 50);
        assert!(read(Some(&dir.path().join("none"))).is_err());
        assert_eq!(read(None).unwrap(), Settings::default());
    }
}
