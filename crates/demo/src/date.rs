//! Days and seconds, as mail writes them.
//!
//! A stamp is a number of seconds since 1970 in UTC, always between the years 1 and 9999: what cannot be
//! written with four digits of year is refused when it is read.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, UTC.
pub(crate) type Stamp = i64;

/// Days since 1970, UTC.
pub(crate) type Day = i64;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// 1970-01-01 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const SECONDS_A_DAY: i64 = 86_400;

/// The present.
pub(crate) fn now() -> Stamp {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
}

/// The day a stamp falls on.
pub(crate) fn day_of(stamp: Stamp) -> Day {
    stamp.div_euclid(SECONDS_A_DAY)
}

/// Year, month (1 to 12) and day of the month, by the proleptic Gregorian calendar.
pub(crate) fn civil(day: Day) -> (i64, i64, i64) {
    // Years are counted from 1 March of year 0, so that the leap day is a year's last day.
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, date)
}

/// The inverse of [`civil`]; `None` for a date that no calendar has.
pub(crate) fn day(year: i64, month: i64, date: i64) -> Option<Day> {
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&date) {
        return None;
    }
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + date - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let day = era * 146_097 + day_of_era - 719_468;
    (civil(day) == (year, month, date)).then_some(day)
}

/// date-day-fixed "-" date-month "-" date-year SP time SP zone (RFC 3501), without the quotes.
pub(crate) fn internal(stamp: Stamp) -> String {
    let (year, month, date) = civil(day_of(stamp));
    format!("{date:2}-{}-{year:04} {} +0000", month_name(month), clock(stamp))
}

/// date-time (RFC 5322).
pub(crate) fn header(stamp: Stamp) -> String {
    let day = day_of(stamp);
    let (year, month, date) = civil(day);
    let weekday = usize::try_from(day.rem_euclid(7)).map_or("Thu", |index| WEEKDAYS[index]);
    format!("{weekday}, {date:02} {} {year:04} {} +0000", month_name(month), clock(stamp))
}

/// Reads what [`internal`] writes, in any zone.
pub(crate) fn parse_internal(text: &str) -> Option<Stamp> {
    let mut words = text.trim_start().split(' ');
    let (date, clock, zone) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let mut parts = clock.split(':').map(|part| number(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    Some(parse_day(date)? * SECONDS_A_DAY + hour * 3600 + minute * 60 + second - offset(zone)?)
}

/// date-day "-" date-month "-" date-year (RFC 3501).
pub(crate) fn parse_day(text: &str) -> Option<Day> {
    let mut parts = text.split('-');
    let (date, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    day(number(year, 4)?, month_number(month)?, number(date, 2)?)
}

/// The day in a Date field (RFC 5322), whatever its zone: what SENTON and its kin compare.
pub(crate) fn parse_header_day(value: &str) -> Option<Day> {
    let date = value.split_once(',').map_or(value, |(_, date)| date);
    let mut words = date.split_ascii_whitespace();
    let (date, month, year) = (words.next()?, words.next()?, words.next()?);
    day(number(year, 4)?, month_number(month)?, number(date, 2)?)
}

fn clock(stamp: Stamp) -> String {
    let second = stamp.rem_euclid(SECONDS_A_DAY);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

fn month_name(month: i64) -> &'static str {
    usize::try_from(month - 1).ok().and_then(|index| MONTHS.get(index)).copied().unwrap_or("Jan")
}

fn month_number(name: &str) -> Option<i64> {
    let index = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    i64::try_from(index + 1).ok()
}

/// zone = ("+" / "-") 4DIGIT, in seconds.
fn offset(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let value = number(&zone[1..], 4).filter(|_| zone.len() == 5)?;
    (value % 100 < 60).then_some(sign * (value / 100 * 3600 + value % 100 * 60))
}

fn number(text: &str, most: usize) -> Option<i64> {
    let fits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_and_read() {
        for (stamp, internal_text, header_text) in [
            (0, " 1-Jan-1970 00:00:00 +0000", "Thu, 01 Jan 1970 00:00:00 +0000"),
            (837_596_665, "17-Jul-1996 09:44:25 +0000", "Wed, 17 Jul 1996 09:44:25 +0000"),
            (951_782_400, "29-Feb-2000 00:00:00 +0000", "Tue, 29 Feb 2000 00:00:00 +0000"),
            (-1, "31-Dec-1969 23:59:59 +0000", "Wed, 31 Dec 1969 23:59:59 +0000"),
        ] {
            assert_eq!(internal(stamp), internal_text);
            assert_eq!(header(stamp), header_text);
            assert_eq!(parse_internal(internal_text), Some(stamp));
            assert_eq!(parse_header_day(header_text), Some(day_of(stamp)));
        }
    }

    #[test]
    fn zones_and_nonsense() {
        for (text, expected) in [
            ("17-Jul-1996 02:44:25 -0700", Some(837_596_665)),
            ("17-JUL-1996 11:44:25 +0200", Some(837_596_665)),
            ("17-Jul-1996 02:44:25", None),
            ("17-Jul-1996 24:44:25 +0000", None),
            ("17-Jul-1996 02:44:25 +0060", None),
            ("17-Jul-1996 02:44:25 0700", None),
            ("30-Feb-1996 02:44:25 +0000", None),
            ("31-Apr-1996 02:44:25 +0000", None),
            ("1-Jan-99999 02:44:25 +0000", None),
            ("1-Jan-0000 02:44:25 +0000", None),
            ("", None),
        ] {
            assert_eq!(parse_internal(text), expected, "{text}");
        }
        assert_eq!(parse_day("1-Feb-1994"), Some(8797));
        assert_eq!(parse_day("1-Feb"), None);
        assert_eq!(parse_header_day("17 Jul 1996 02:23:25 -0700 (PDT)"), Some(9694));
        assert_eq!(parse_header_day("yesterday"), None);
    }

    #[test]
    fn every_day_of_nine_thousand_years() {
        for day_number in day(1, 1, 1).unwrap()..=day(9999, 12, 31).unwrap() {
            let (year, month, date) = civil(day_number);
            assert_eq!(day(year, month, date), Some(day_number));
        }
    }
}
