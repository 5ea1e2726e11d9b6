//! HTML of names and numbers. Whatever comes from outside becomes text here, and never a tag.

use std::fmt::Write;

/// A text as HTML has it, in an element or in an attribute's quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for each in text.chars() {
        match each {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            each if each.is_control() => html.push('?'),
            each => html.push(each),
        }
    }
    html
}

/// What stands in a table's cell.
pub(super) enum Cell {
    Text(String),
    /// A text that leads to something of this server's.
    Link {
        text: String,
        address: String,
    },
    /// To the right, so that digits stand below each other.
    Number(u64),
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// A table with these columns. Of more rows than `rows_max` only the number is told.
pub(super) fn table<const N: usize>(
    caption: &str,
    columns: [&str; N],
    rows: Vec<[Cell; N]>,
    rows_max: usize,
) -> String {
    let mut html = format!("<table><caption>{}</caption><thead><tr>", escaped(caption));
    for column in columns {
        write!(html, "<th scope=\"col\">{}</th>", escaped(column)).expect("writing to a string");
    }
    html.push_str("</tr></thead><tbody>\n");
    let left_out = rows.len().saturating_sub(rows_max);
    for row in rows.into_iter().take(rows_max) {
        html.push_str("<tr>");
        for cell in row {
            match cell {
                Cell::Text(text) => write!(html, "<td>{}</td>", escaped(&text)),
                Cell::Link { text, address } => write!(
                    html,
                    "<td><a class=\"history\" href=\"{}\">{}</a></td>",
                    escaped(&address),
                    escaped(&text)
                ),
                Cell::Number(number) => write!(html, "<td class=\"number\">{number}</td>"),
            }
            .expect("writing to a string");
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table>\n");
    if left_out > 0 {
        html.push_str(&paragraph(
            "note",
            &format!("{left_out} more are not shown"),
        ));
    }
    html
}

/// A paragraph of a class.
pub(super) fn paragraph(class: &str, text: &str) -> String {
    format!("<p class=\"{class}\">{}</p>\n", escaped(text))
}

/// A list of lines; nothing where there are none.
pub(super) fn list(class: &str, lines: impl IntoIterator<Item = String>) -> String {
    let lines: String = lines
        .into_iter()
        .map(|line| format!("<li>{}</li>\n", escaped(&line)))
        .collect();
    match &lines[..] {
        "" => lines,
        lines => format!("<ul class=\"{class}\">\n{lines}</ul>\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_text() {
        let name = "<img src=x onerror='a'>&\"\u{7}";
        let html = table("a < b", ["name"], vec![[name.into()]], 5);
        assert!(html.contains("&lt;img src=x onerror=&#39;a&#39;&gt;&amp;&quot;?</td>"));
        assert!(html.contains("a &lt; b") && !html.contains("<img"));
        assert!(list("x", ["<b>".to_owned()]).contains("&lt;b&gt;"));
        assert_eq!(list("x", []), "");
    }

    #[test]
    fn a_long_table_says_what_it_leaves_out() {
        let html = table("t", ["n"], (0..7_u32).map(|n| [n.into()]).collect(), 5);
        assert_eq!(html.matches("<td").count(), 5);
        assert!(html.contains("2 more are not shown"));
    }
}
