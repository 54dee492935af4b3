//! Dates in UTC, of seconds since 1970.

use crate::function::FunctionId;

const DAY: i64 = 86_400;
/// Seconds before 1970 from which on Go counts: those of a March 1.
const GO_EPOCH: i128 =
    (292_277_022_400 * 1_461 / 4 - 292_277_022_400 / 100 + 292_277_022_400 / 400 + 306) * 86_400 + 62_135_596_800;

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
pub(crate) fn civil(days: i64) -> (i64, u8, u8) {
    // Years begin in March, so that leap days end them; eras are of 400 years.
    let z = i128::from(days) + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i128::from(month <= 2);
    (year as i64, month as u8, day as u8) // of an i64 of days, and small
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// What a function of dates gives of a number of seconds.
pub(crate) fn part(function: FunctionId, seconds: f64) -> f64 {
    // Go truncates; what does not fit becomes the least integer on most machines.
    let fits = seconds.abs() < 9_223_372_036_854_775_808.0;
    let mut seconds = i128::from(if fits { seconds as i64 } else { i64::MIN });
    // Go counts from a time long ago, and takes what is before that for the far future.
    if seconds < -GO_EPOCH {
        seconds += 1 << 64;
    }
    let days = seconds.div_euclid(DAY.into()) as i64;
    let of_day = seconds.rem_euclid(DAY.into()) as i64;
    let (year, month, day) = civil(days);
    match function {
        FunctionId::Minute => (of_day / 60 % 60) as f64,
        FunctionId::Hour => (of_day / 3600) as f64,
        FunctionId::DayOfWeek => (days.rem_euclid(7) + 4).rem_euclid(7) as f64, // 1970 began on a Thursday
        FunctionId::DayOfMonth => f64::from(day),
        FunctionId::DayOfYear => {
            let before: u16 = (1..month).map(|month| u16::from(days_in_month(year, month))).sum();
            f64::from(before + u16::from(day))
        }
        FunctionId::DaysInMonth => f64::from(days_in_month(year, month)),
        FunctionId::Month => f64::from(month),
        _ => year as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_one_by_one() {
        let (mut year, mut month, mut day) = (1970, 1, 1);
        for days in 0..200_000 {
            assert_eq!(civil(days), (year, month, day));
            day += 1;
            if day > days_in_month(year, month) {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((civil(-1), civil(-719_468)), ((1969, 12, 31), (0, 3, 1)));
    }

    #[test]
    fn parts_of_a_date() {
        let noon = 1_709_208_061.9; // 2024-02-29 12:01:01.9, a Thursday
        let functions = [
            (FunctionId::Minute, 1.0),
            (FunctionId::Hour, 12.0),
            (FunctionId::DayOfWeek, 4.0),
            (FunctionId::DayOfMonth, 29.0),
            (FunctionId::DayOfYear, 60.0),
            (FunctionId::DaysInMonth, 29.0),
            (FunctionId::Month, 2.0),
            (FunctionId::Year, 2024.0),
        ];
        for (function, expected) in functions {
            assert_eq!(part(function, noon), expected, "{function:?}");
        }
        assert_eq!(part(FunctionId::DayOfWeek, -1.0), 3.0);
        assert!(part(FunctionId::Year, f64::NAN).is_finite());
    }
}
