//! Lengths of time on the command line.

use std::time::Duration;

use thiserror::Error;

/// What is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("give a number with a unit: 500ms, 5s, 2m or 1h")]
pub(crate) struct NoDuration;

/// Reads `500ms`, `5s`, `2m` or `1h`; the number may have a fraction.
pub(crate) fn parse(text: &str) -> Result<Duration, NoDuration> {
    let digits = text.find(|each: char| !each.is_ascii_digit() && each != '.');
    let (number, unit) = text.split_at(digits.ok_or(NoDuration)?);
    let number: f64 = number.parse().map_err(|_| NoDuration)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return Err(NoDuration),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| NoDuration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_and_a_unit() {
        for (text, ms) in [
            ("500ms", 500),
            ("5s", 5000),
            ("1.5s", 1500),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "5 s",
            "-5s",
            "5d",
            "1e3s",
            "99999999999999999999h",
            ".",
        ] {
            assert_eq!(parse(text), Err(NoDuration), "{text}");
        }
    }
}
