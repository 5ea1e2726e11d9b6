//! What people may mean when they write a resource's name.

use dlm_core::ResourceName;
use glock_core::{GlockName, GlockType};

/// The resources that a text may stand for, the likelier first: as listings show names, a glock as
/// `inode 0x102ab` or `2/102ab` and a byte as `\xNN`; and a name that merely looks like a glock's. None where it
/// is no name at all.
#[must_use]
pub fn names(text: &[u8]) -> Vec<ResourceName> {
    let glock = std::str::from_utf8(text).ok().and_then(glock);
    let plain = ResourceName::new(&unescaped(text)).ok();
    let mut names: Vec<ResourceName> = glock.map(GlockName::resource).into_iter().collect();
    names.extend(plain.filter(|plain| !names.contains(plain)));
    names
}

/// `2/102ab`, or `inode 0x102ab`.
fn glock(text: &str) -> Option<GlockName> {
    if let Some((kind, number)) = text.split_once('/') {
        let kind: u64 = kind.parse().ok()?;
        let kind = GlockType::ALL
            .into_iter()
            .find(|&each| each as u64 == kind)?;
        let number = u64::from_str_radix(number, 16).ok()?;
        return Some(GlockName { kind, number });
    }
    let (kind, number) = text.split_once(' ')?;
    let kind = match kind {
        "nondisk" => GlockType::Nondisk,
        "inode" => GlockType::Inode,
        "rgrp" => GlockType::Rgrp,
        "meta" => GlockType::Meta,
        "iopen" => GlockType::Iopen,
        "flock" => GlockType::Flock,
        "quota" => GlockType::Quota,
        "journal" => GlockType::Journal,
        _ => return None,
    };
    let number = match number.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => number.parse(),
    };
    let number = number.ok()?;
    Some(GlockName { kind, number })
}

/// With the bytes that `\xNN` stands for. A backslash before anything else is one.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        let digits = match (first, after) {
            (b'\\', [b'x', high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .filter(|digits| digits.bytes().all(|each| each.is_ascii_hexdigit()))
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        bytes.push(digits.unwrap_or(*first));
        if digits.is_some() {
            rest = &after[3..];
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Object;

    #[test]
    fn what_listings_show_comes_back() {
        for kind in GlockType::ALL {
            let number = if kind == GlockType::Journal {
                3
            } else {
                0x102ab
            };
            let glock = GlockName { kind, number };
            let object = Object {
                lockspace: String::new(),
                name: glock.resource(),
            };
            for shown in [object.resource(), glock.to_string()] {
                assert_eq!(names(shown.as_bytes())[0], object.name, "{shown}");
            }
        }
        for name in [&b"nightly"[..], b"a\n\xff\\", b" ", b"\\x0g"] {
            let name = ResourceName::new(name).expect("a name");
            assert_eq!(names(name.to_string().as_bytes()), [name]);
        }
        assert_eq!(names(b"a\xff").len(), 1);
    }

    #[test]
    fn what_looks_like_a_glock_may_be_another_name() {
        let both = names(b"2/102ab");
        assert_eq!(both[0], GlockName::inode(0x102ab).resource());
        assert_eq!(both[1].as_bytes(), b"2/102ab");
        for plain in [&b"7/102ab"[..], b"inode x", b"job 1", b"2/", b"2/xyz"] {
            assert_eq!(names(plain).len(), 1, "{plain:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_no_name() {
        assert_eq!(names(&[b'a'; 65]), []);
    }
}
