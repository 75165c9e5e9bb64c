//! The command that goes on with this one, as a person can paste it into a shell.

use crate::env;

/// What is about this one time only; the second word says whether a value follows.
const ONCE: [(&str, bool); 6] = [
    ("--resume", false),
    ("--restart", false),
    ("--retry-failed", false),
    ("--cancel-on-interrupt", false),
    ("--settle", true),
    // A token may stand in it.
    ("--token-command", true),
];

/// This process's command without what it was told to do just this once.
pub(super) fn command() -> String {
    command_of(&env::arguments())
}

fn command_of(arguments: &[String]) -> String {
    let mut command = "paceline".to_owned();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let name = word.split_once('=').map_or(word.as_str(), |(name, _)| name);
        match ONCE.iter().find(|(once, _)| *once == name) {
            Some((_, true)) if name == word => {
                words.next();
            }
            Some(_) => {}
            None => {
                command.push(' ');
                command.push_str(&quoted(word));
            }
        }
    }
    command
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_for_once_is_left_out_and_all_else_can_be_pasted() {
        let cases: [(&[&str], &str); 4] = [
            (&["hex", "batch", "jobs.csv", "--resume"], "paceline hex batch jobs.csv"),
            (
                &["hex", "batch", "--settle", "3=x", "my jobs.csv", "--settle=4=failed", "--json"],
                "paceline hex batch 'my jobs.csv' --json",
            ),
            (
                &["hex", "run", "p", "--token-command", "echo secret", "--param", "who=it's"],
                r"paceline hex run p --param 'who=it'\''s'",
            ),
            (
                &["hex", "run", "p", "--token-command=echo secret", "--param", "a="],
                "paceline hex run p --param a=",
            ),
        ];
        for (words, wanted) in cases {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(command_of(&words), wanted);
        }
    }
}
