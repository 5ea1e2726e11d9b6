//! Patterns of names: `*` stands for any text, `?` for one character.

/// Whether all of the name is what the pattern describes.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
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

#[cfg(test)]
mod tests {
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
}
