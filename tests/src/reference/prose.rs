//! Comments as Markdown.

/// The characters that would be markup in a comment, which is plain text but for its backquotes.
const MARKUP: [char; 4] = ['\\', '*', '<', '['];

/// The anchor that a heading of this text gets, where pages are rendered as on GitHub.
pub(super) fn slug(heading: &str) -> String {
    let kept = heading
        .chars()
        .filter(|one| one.is_alphanumeric() || ['-', '_', ' '].contains(one));
    kept.map(|one| if one == ' ' { '-' } else { one })
        .flat_map(char::to_lowercase)
        .collect()
}

/// A comment as paragraphs. Lists stay what they are; lines that are indented otherwise become a block, for
/// they are laid out by hand.
pub(super) fn paragraphs(comment: &str) -> String {
    let mut text: Vec<String> = Vec::new();
    let mut is_list = false;
    let mut is_block = false;
    for line in comment.lines() {
        let is_indented = line.starts_with("  ");
        is_list = line.starts_with("- ") || is_list && is_indented;
        if (is_indented && !is_list) != is_block {
            is_block = !is_block;
            // A block needs no blank lines around it.
            text.push(if is_block { "```text" } else { "```" }.into());
        }
        text.push(if is_block {
            line.trim_start().to_owned()
        } else {
            escaped(line)
        });
    }
    if is_block {
        text.push("```".into());
    }
    text.join("\n")
}

/// A comment as what a table's cell takes: one line.
pub(super) fn cell(comment: &str) -> String {
    let lines = comment.lines().map(str::trim);
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    escaped(&lines.join(" ")).replace('|', "\\|")
}

/// A line whose markup shows as itself, except what is in backquotes, which is so anyway.
fn escaped(line: &str) -> String {
    let mut text = String::new();
    for (at, part) in line.split('`').enumerate() {
        if at > 0 {
            text.push('`');
        }
        let is_code = at % 2 == 1;
        for letter in part.chars() {
            if !is_code && MARKUP.contains(&letter) {
                text.push('\\');
            }
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_comments_shows_as_itself() {
        assert_eq!(
            cell("DLM_LKF_*, a | b,\n `*` <c>"),
            "DLM_LKF_\\*, a \\| b, `*` \\<c>"
        );
    }

    #[test]
    fn what_is_laid_out_by_hand_stays_so() {
        assert_eq!(
            paragraphs("What:\n  A    one\n  BCD  two\n\n- first\n  and more\nLast *"),
            "What:\n```text\nA    one\nBCD  two\n```\n\n- first\n  and more\nLast \\*"
        );
    }

    #[test]
    fn anchors_are_as_github_makes_them() {
        assert_eq!(slug("`dlm fence agent`"), "dlm-fence-agent");
        assert_eq!(slug("rpc Lock.Purge"), "rpc-lockpurge");
        assert_eq!(slug("What it is: lock.proto"), "what-it-is-lockproto");
    }
}
