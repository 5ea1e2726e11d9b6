//! Patterns of names: `*` stands for any text, `?` for one character.

use crate::graph::Object;

/// Whether all of the name is what the pattern describes.
#[must_use]
pub fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen) = (0, 0);
    // Where the last star stands, and how much of the name it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&each) if each == '?' || each == name[seen] => {
                at += 1;
                seen += 1;
            }
            // The last star takes one more; what stands before it need not be tried again.
            _ => match &mut star {
                None => return false,
                Some((star, taken)) => {
                    *taken += 1;
                    (at, seen) = (*star + 1, *taken);
                }
            },
        }
    }
    pattern[at..].iter().all(|&each| each == '*')
}

/// Whether the object's name is: as it is shown (`inode 0x102ab`, `nightly`), a glock also as `2/102ab`, and any
/// as it goes over the wire, with every byte that is not printable ASCII as `\xNN`.
#[must_use]
pub fn fits_object(pattern: &str, object: &Object) -> bool {
    let glock = object.glock();
    let shown = glock.map(|glock| [object.resource(), glock.to_string()]);
    let shown = shown.iter().flatten();
    fits(pattern, &object.name.to_string()) || shown.into_iter().any(|shown| fits(pattern, shown))
}

#[cfg(test)]
mod tests {
    use dlm_core::ResourceName;

    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("job", "job", true),
            ("job", "jobs", false),
            ("job*", "jobs", true),
            ("*ob*s", "job of jobs", true),
            ("j?b", "jéb", true),
            ("j?b", "jb", false),
            ("*", "", true),
            ("", "", true),
            ("?", "", false),
            ("*a*a*a*a*b", &"a".repeat(64), false),
            ("inode 0x*", "inode 0x102ab", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_glock_has_several_names() {
        let glock = &b"       2           102ab"[..];
        for (pattern, name, expected) in [
            ("night*", &b"nightly"[..], true),
            ("night", b"nightly", false),
            ("a\\x0a", b"a\n", true),
            ("inode *", glock, true),
            ("2/102ab", glock, true),
            ("       2*", glock, true),
            ("inode *", b"2/102ab", false),
        ] {
            let object = Object {
                lockspace: "volume".into(),
                name: ResourceName::new(name).expect("a name"),
            };
            assert_eq!(fits_object(pattern, &object), expected, "{pattern}");
        }
    }
}
