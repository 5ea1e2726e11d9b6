//! What is left of a resource's value when its master is lost.
//!
//! Whoever holds more than CR keeps all writers out, so that the value cannot have changed since its last
//! answer: the number that the answer named is the last one, and whoever knows the value of that number
//! knows the value. Where nobody holds more than CR a writer may have come and gone: what is known is
//! kept, and not valid (fs/dlm's `recover_lvb`). A value that nobody knows is zeros, and not valid. So a
//! value is kept or marked, and never lost in silence.
//!
//! A lock that was given up without an answer may have been the last one on the resource, whose numbers
//! began again when it came to be again: what it claims is compared with nothing, and at best not valid.

use super::claim::{Claim, KnownValue, Stands};
use crate::mode::Mode;
use crate::resource::value::Stored;
use crate::value::{ValueBlock, ValueLength};

/// The value of a resource with these claims, where it has one, and whether it is not valid.
pub(super) fn value_of<'a>(
    claims: impl Iterator<Item = &'a Claim> + Clone,
    length: ValueLength,
) -> (Option<Stored>, bool) {
    let is_unlocked = |claim: &&Claim| matches!(claim.stands, Stands::Unlocked { .. });
    let stay = claims.clone().filter(|claim| !is_unlocked(claim));
    let strong = stay.clone().filter(keeps_writers_out);
    if let Some(last) = strong.map(|claim| claim.value_sequence).max()
        && last == top(stay.clone())
    {
        if last == 0 {
            return (None, false);
        }
        let known = stay.filter_map(|claim| claim.value.as_ref());
        let mut current = known.filter(|known| known.sequence == last);
        if let Some(first) = current.next() {
            let (sequence, value) = (last, filled(first, length));
            let agreed =
                current.all(|other| filled(other, length) == value && other.valid == first.valid);
            return (Some(Stored { sequence, value }), !(agreed && first.valid));
        }
    }
    let sequence = top(claims.clone()) + 1;
    let known = claims.filter_map(|claim| claim.value.as_ref());
    let newest = known.max_by_key(|known| known.sequence);
    let value = newest.map_or_else(|| ValueBlock::zeros(length), |known| filled(known, length));
    (Some(Stored { sequence, value }), true)
}

/// A value as it is stored. One that stored a short value may claim it as it said it.
fn filled(known: &KnownValue, length: ValueLength) -> ValueBlock {
    let said = &known.bytes;
    said.clone().fitted(length).unwrap_or_else(|| said.clone())
}

/// Whether nobody else can have stored a value since the lock's last answer, and its own stores are in the
/// claim: a conversion to an alternative mode may have stored one and not have said so.
fn keeps_writers_out(claim: &&Claim) -> bool {
    let tells_all = matches!(
        claim.stands,
        Stands::Granted {
            unanswered: Some(_),
            ..
        }
    );
    claim.held() > Some(Mode::Cr) && (claim.is_sure() || tells_all)
}

/// The largest number of a value that a claim names.
fn top<'a>(claims: impl Iterator<Item = &'a Claim>) -> u64 {
    let named = claims.map(|claim| {
        let known = claim.value.as_ref().map_or(0, |known| known.sequence);
        known.max(claim.value_sequence)
    });
    named.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::RequestFlags;
    use crate::ids::{LockId, LockspaceId, Owner, ResourceName, Token};

    fn claim(mode: Mode, value_sequence: u64, known: Option<(u64, &[u8])>) -> Claim {
        Claim {
            lock: LockId(1),
            lockspace: LockspaceId(1),
            name: ResourceName::new(b"r").expect("a name"),
            owner: Owner(0),
            flags: RequestFlags::VALBLK,
            stands: Stands::Granted {
                mode,
                unanswered: None,
            },
            granted: Some(mode),
            token: Token(1),
            orphan: false,
            uses_values: true,
            value_sequence,
            value: known.map(|(sequence, bytes)| KnownValue {
                sequence,
                bytes: ValueBlock::new(bytes).expect("a value"),
                valid: true,
            }),
        }
    }

    fn left(claims: &[Claim]) -> (std::string::String, bool) {
        let (stored, invalid) = value_of(claims.iter(), ValueLength::new(8).expect("a length"));
        let text = stored.map(|stored| std::format!("{:?}", stored.value));
        (text.unwrap_or_default(), invalid)
    }

    #[test]
    fn it_is_kept_where_somebody_kept_writers_out() {
        let reader = claim(Mode::Pr, 3, Some((3, b"c")));
        let late = claim(Mode::Nl, 2, Some((2, b"b")));
        let filled = |text: &str| std::format!("\"{text}{}\"", "\\x00".repeat(7));
        assert_eq!(left(&[late.clone(), reader]), (filled("c"), false));
        // The holder did not read it; somebody else did.
        let holder = claim(Mode::Cw, 2, None);
        assert_eq!(left(&[holder, late]), (filled("b"), false));
        assert_eq!(left(&[claim(Mode::Ex, 0, None)]), ("".into(), false));
    }

    #[test]
    fn it_is_not_valid_where_a_writer_may_have_gone() {
        let claims = [
            claim(Mode::Nl, 2, Some((2, b"b"))),
            claim(Mode::Cr, 3, Some((3, b"c"))),
        ];
        assert_eq!(
            left(&claims),
            (r#""c\x00\x00\x00\x00\x00\x00\x00""#.into(), true)
        );
    }

    #[test]
    fn it_is_never_lost_in_silence() {
        let zeros = r#""\x00\x00\x00\x00\x00\x00\x00\x00""#;
        assert_eq!(left(&[claim(Mode::Nl, 0, None)]), (zeros.into(), true));
        let old = claim(Mode::Pr, 5, Some((2, b"b")));
        let known = r#""b\x00\x00\x00\x00\x00\x00\x00""#;
        assert_eq!(left(&[old]), (known.into(), true));
    }

    #[test]
    fn two_who_know_it_otherwise_make_it_not_valid() {
        let claims = [b"a", b"b"].map(|bytes| claim(Mode::Pr, 3, Some((3, bytes))));
        assert!(left(&claims).1);
        // One stored it and did not fill it up, the other one read it.
        let stored = claim(Mode::Pr, 3, Some((3, b"a")));
        let read = claim(Mode::Pr, 3, Some((3, b"a\0\0\0\0\0\0\0")));
        assert!(!left(&[stored, read]).1);
    }
}
