//! Lengths of time and numbers of bytes, as people write them.

/// Microseconds in a unit, the largest first.
const TIMES: [(&str, u64); 5] = [
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

/// Reads `500ms`, `5s`, `2m` or `1h` as microseconds; the number may have a fraction.
pub(super) fn time(text: &str) -> Result<u64, String> {
    let wrong =
        || format!("`{text}` is no time: give a number with a unit, such as 500ms, 5s or 2m");
    let digits = text.find(|each: char| !each.is_ascii_digit() && each != '.');
    let (number, unit) = text.split_at(digits.ok_or_else(wrong)?);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let (_, us) = TIMES
        .into_iter()
        .find(|(name, _)| *name == unit)
        .ok_or_else(wrong)?;
    let us = (number * us as f64).round();
    // What is more than a hundred thousand years fits as well.
    Ok(us as u64)
}

/// Writes it as it is read, without a loss.
pub(super) fn shown(us: u64) -> String {
    let whole = TIMES.iter().find(|(_, unit)| us.is_multiple_of(*unit));
    match whole {
        Some((unit, each)) if us > 0 => format!("{}{unit}", us / each),
        _ => "0s".into(),
    }
}

/// Reads `32k`, `1m` or a plain number.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 10),
        None => match text.strip_suffix(['m', 'M']) {
            Some(number) => (number, 20),
            None => (text, 0),
        },
    };
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u64> = number.parse().ok().filter(|_| plain);
    number
        .and_then(|number| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("`{text}` is no number of bytes: give one such as 32k or 1m"))
}

/// Writes it as it is read.
pub(super) fn bytes_shown(bytes: u64) -> String {
    match bytes {
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!("{}m", bytes >> 20),
        bytes if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!("{}k", bytes >> 10),
        bytes => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_and_bytes_need_to_be_such() {
        assert_eq!(time("1.5s"), Ok(1_500_000));
        assert_eq!(time("200ms"), Ok(200_000));
        assert_eq!(bytes("32k"), Ok(32_768));
        for wrong in ["", "5", "s", "5 s", "-5s", "5d", "1e3s", "."] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "k", "-1k", "+1k", "1g", "99999999999999999999m"] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read(us in 0_u64..1 << 50, number in 0_u64..1 << 50) {
            prop_assert_eq!(time(&shown(us)), Ok(us));
            prop_assert_eq!(bytes(&bytes_shown(number)), Ok(number));
        }
    }
}
