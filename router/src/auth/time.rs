//! The notations of time in signatures, as seconds since 1970 UTC.
//!
//! `20150830T123600Z` (ISO 8601, basic format) everywhere; `Sun, 30 Aug 2015 12:36:00 GMT` in a `Date` header.

use crate::http::response::civil;

/// Seconds of one day.
const DAY_SECONDS: u64 = 86_400;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes `20150830T123600Z`.
pub fn basic(seconds: u64) -> String {
    let (year, month, day) = civil(seconds / DAY_SECONDS);
    let second = seconds % DAY_SECONDS;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Reads `20150830T123600Z`, and nothing else.
pub fn parse_basic(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let (year, month, day) = (number(&bytes[0..4])?, number(&bytes[4..6])?, number(&bytes[6..8])?);
    at(year, month, day, [number(&bytes[9..11])?, number(&bytes[11..13])?, number(&bytes[13..15])?])
}

/// Reads `Sun, 30 Aug 2015 12:36:00 GMT`.
pub fn parse_http(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() != 29 || !text.is_ascii() || &text[3..5] != ", " || &text[25..] != " GMT" {
        return None;
    }
    let separated = [7, 11, 16].iter().all(|at| bytes[*at] == b' ') && bytes[19] == b':' && bytes[22] == b':';
    let month = MONTHS.iter().position(|month| *month == &text[8..11])? as u64 + 1;
    let clock = [number(&bytes[17..19])?, number(&bytes[20..22])?, number(&bytes[23..25])?];
    if separated { at(number(&bytes[12..16])?, month, number(&bytes[5..7])?, clock) } else { None }
}

fn number(digits: &[u8]) -> Option<u64> {
    digits
        .iter()
        .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// The second of a date and a time of day, if there is such a date; from 1970 on.
fn at(year: u64, month: u64, day: u64, [hour, minute, second]: [u64; 3]) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || day == 0 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(year, month, day);
    // A day that the month does not have would come back as another.
    let same = civil(days) == (year, usize::try_from(month).expect("at most 12"), day);
    same.then(|| days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
}

/// Days since 1970: the era arithmetic of Howard Hinnant's `days_from_civil`, the reverse of `civil`.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests;
