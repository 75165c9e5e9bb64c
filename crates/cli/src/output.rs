//! What is printed: results to stdout, everything for people to stderr. The only file that prints.

use std::io::{IsTerminal, Write};

use paceline_clock::Timestamp;
use tracing_subscriber::EnvFilter;

/// A line of a result, to stdout. A reader that has gone is no error of ours.
pub(crate) fn result(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Lines for a person, to stderr.
pub(crate) fn note(lines: &str) {
    let _ = writeln!(std::io::stderr(), "{}", harmless(lines, Some('\n')));
}

/// What went wrong, in one line, to stderr.
pub(crate) fn error(message: &str) {
    note(&in_one_line(&format!("paceline: {message}")));
}

/// Text of others (a vendor's reply, say) as a part of one line.
pub(crate) fn in_one_line(text: &str) -> String {
    harmless(text, None)
}

/// Without control characters, which could make a terminal show anything. They become blanks.
fn harmless(text: &str, kept: Option<char>) -> String {
    text.chars().map(|c| if c.is_control() && Some(c) != kept { ' ' } else { c }).collect()
}

/// Whether a person looks at stderr.
pub(crate) fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

/// Sends the log to stderr: stdout belongs to results.
pub(crate) fn start_log(filter: Option<&str>) {
    let filter = EnvFilter::try_new(filter.unwrap_or("warn")).unwrap_or_else(|_| {
        error("PACELINE_LOG is not a log filter and is ignored; write warn, info or debug");
        EnvFilter::new("warn")
    });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = log.with_ansi(is_terminal()).try_init();
}

/// `1234567` as `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds as a person says them: `850 ms`, `12.3 s`, `4 min 05 s`, `3 h 00 min`.
pub(crate) fn duration(ms: f64) -> String {
    let seconds = ms / 1e3;
    match seconds {
        s if s < 1.0 => format!("{ms:.0} ms"),
        s if s < 100.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:02.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
        s => format!("{:.0} h {:02.0} min", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor()),
    }
}

/// A moment as the clock on the wall shows it, in the machine's time zone: `14:03:22`.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    let Ok(at) = jiff::Timestamp::from_microsecond(at.as_micros()) else { return "?".to_owned() };
    at.to_zoned(jiff::tz::TimeZone::system()).strftime("%H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_elses_text_breaks_a_line_or_speaks_to_the_terminal() {
        assert_eq!(in_one_line("a\r\nb\u{1b}[31m\u{9b}c \u{e9}"), "a  b [31m c \u{e9}");
        assert_eq!(harmless("a\nb\u{7}", Some('\n')), "a\nb ");
    }

    #[test]
    fn numbers_and_times_as_people_say_them() {
        let numbers = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in numbers {
            assert_eq!(thousands(number), text);
        }
        let times = [
            (0.4, "0 ms"),
            (850.0, "850 ms"),
            (12_340.0, "12.3 s"),
            (245_000.0, "4 min 05 s"),
            (10_800_000.0, "3 h 00 min"),
        ];
        for (ms, text) in times {
            assert_eq!(duration(ms), text);
        }
    }
}
