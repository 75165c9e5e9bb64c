//! Moments as JSON APIs write them: ISO 8601 in UTC with milliseconds.

use paceline_clock::Timestamp;

const DAY_MS: i64 = 86_400_000;

/// `2026-01-01T00:00:00.000Z`.
pub(crate) fn iso(at: Timestamp) -> String {
    let ms = at.as_micros().div_euclid(1000);
    let (year, month, day) = civil(ms.div_euclid(DAY_MS));
    let of_day = ms.rem_euclid(DAY_MS);
    let (s, ms) = (of_day / 1000, of_day % 1000);
    let (hour, minute, second) = (s / 3600, s / 60 % 60, s % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Year, month and day of a day since 1970-01-01. Years begin in March here, so that the leap day is a year's last, and
/// every five months have 153 days.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468; // since 0000-03-01
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_the_calendar_has_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_767_225_600, "2026-01-01T00:00:00.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.000Z"),
        ] {
            assert_eq!(iso(Timestamp::from_seconds(seconds)), text);
        }
        assert_eq!(iso(Timestamp::from_micros(1_500_999)), "1970-01-01T00:00:01.500Z");
    }
}
