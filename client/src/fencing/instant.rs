//! Points in time as container engines write them.

use std::time::SystemTime;

use prost_types::Timestamp;

/// Reads `2026-12-01T04:09:00.123456789Z`; `None` where it is none, or the engine's way to say never.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let at: Timestamp = text.parse().ok()?;
    let at = SystemTime::try_from(at).ok()?;
    (at > SystemTime::UNIX_EPOCH).then_some(at)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_engines_write() {
        let at = SystemTime::UNIX_EPOCH + Duration::new(1_796_098_140, 123_456_789);
        assert_eq!(parse("2026-12-01T04:09:00.123456789Z"), Some(at));
        assert_eq!(parse("2026-12-01T05:09:00.123456789+01:00"), Some(at));
        for none in ["0001-01-01T00:00:00Z", "", "yesterday"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
