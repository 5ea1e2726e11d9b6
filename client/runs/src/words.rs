//! Numbers in sentences.

/// `1 operation`, `2 operations`.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

/// A length of time, with three digits: `12 us`, `3.45 ms`, `26.1 ms`, `12.3 s`, `120 s`.
pub(crate) fn span(us: u64) -> String {
    match us {
        0 => "0".into(),
        1..1_000 => format!("{us} us"),
        1_000..999_500 => format!("{} ms", three_digits(us as f64 / 1e3)),
        _ => format!("{} s", three_digits(us as f64 / 1e6)),
    }
}

/// Milliseconds with three digits, without their unit.
pub(crate) fn ms(us: u64) -> String {
    if us == 0 {
        "0".into()
    } else {
        three_digits(us as f64 / 1e3)
    }
}

/// A time in a run, in seconds to the tenth.
pub(crate) fn at(us: u64) -> String {
    format!("{:.1} s", us as f64 / 1e6)
}

/// A count in at most six characters: `123456`, `1.23M`, `12.3G`.
pub(crate) fn short(count: u64) -> String {
    const UNITS: [&str; 5] = ["k", "M", "G", "T", "P"];
    if count < 1_000_000 {
        return count.to_string();
    }
    let mut value = count as f64 / 1e3;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{}{}", three_digits(value), UNITS[unit])
}

/// The node, or the nodes, of a list: `node1`, `node1 and node2`, `node1, node2 and node3`.
pub(crate) fn listed(names: &[String]) -> String {
    match names {
        [] => "nobody".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn three_digits(value: f64) -> String {
    // Where rounding adds a digit the next form is meant.
    if value < 9.995 {
        format!("{value:.2}")
    } else if value < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

/// ` of 4096 KiB`, where a size was said.
pub(crate) fn of_bytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!(" of {} KiB", bytes / 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_are_enough() {
        for (us, text) in [
            (0, "0"),
            (999, "999 us"),
            (1_000, "1.00 ms"),
            (9_994, "9.99 ms"),
            (9_996, "10.0 ms"),
            (26_140, "26.1 ms"),
            (999_499, "999 ms"),
            (999_600, "1.00 s"),
            (12_345_678, "12.3 s"),
            (120_000_000, "120 s"),
        ] {
            assert_eq!(span(us), text);
        }
        assert_eq!((ms(0), ms(61_311)), ("0".into(), "61.3".into()));
        for (count, text) in [
            (999_999, "999999"),
            (1_000_000, "1.00M"),
            (999_600_000, "1.00G"),
            (u64::MAX, "18447P"),
        ] {
            assert_eq!(short(count), text);
        }
    }

    #[test]
    fn lists_end_with_and() {
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).into();
        assert_eq!(listed(&names), "a, b and c");
        assert_eq!(listed(&names[..1]), "a");
        assert_eq!(
            (counted(1, "wait"), counted(2, "wait")),
            ("1 wait".into(), "2 waits".into())
        );
    }
}
