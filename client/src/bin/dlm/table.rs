//! Tables for people: columns as wide as what stands in them.

use std::fmt;

/// A table under its heads. A head that begins with `<` stands over numbers, which are put to the right; one
/// that begins with `>` stands over text.
#[derive(Debug)]
pub(crate) struct Table {
    heads: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) const fn new(heads: &'static [&'static str]) -> Self {
        Self {
            heads,
            rows: Vec::new(),
        }
    }

    /// One more row, with a cell for each head.
    pub(crate) fn row<const CELLS: usize>(&mut self, cells: [String; CELLS]) {
        debug_assert_eq!(CELLS, self.heads.len());
        self.rows.push(cells.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let titles: Vec<String> = self.heads.iter().map(|head| head[1..].to_owned()).collect();
        let lines = || std::iter::once(&titles).chain(&self.rows);
        let wide = |column: usize| {
            let cells = lines().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(wide).collect();
        for line in lines() {
            let mut text = String::new();
            for ((cell, head), wide) in line.iter().zip(self.heads).zip(&widths) {
                let pad = " ".repeat(wide - cell.chars().count());
                if !text.is_empty() || head.as_ptr() != self.heads[0].as_ptr() {
                    text.push_str("  ");
                }
                if head.starts_with('<') {
                    text.push_str(&pad);
                    text.push_str(cell);
                } else {
                    text.push_str(cell);
                    text.push_str(&pad);
                }
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        Ok(())
    }
}

/// A length of time, short: `310 ms`, `4.3 s`, `12 min`, `5 h`, `3 d`.
pub(crate) fn seconds(us: u64) -> String {
    const SECOND: u64 = 1_000_000;
    match us / SECOND {
        0 => format!("{} ms", us / 1000),
        1..100 => format!("{:.1} s", us as f64 / SECOND as f64),
        s @ 100..6000 => format!("{} min", s / 60),
        s @ 6000..172_800 => format!("{} h", s / 3600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let mut table = Table::new(&["<N", ">NAME", "<LOCKS"]);
        table.row(["1".into(), "a".into(), "100000".into()]);
        table.row(["12".into(), "länger".into(), "5".into()]);
        let expected = "
 N  NAME     LOCKS
 1  a       100000
12  länger       5
";
        assert_eq!(table.to_string(), expected[1..]);
    }

    #[test]
    fn times_are_short() {
        for (us, text) in [
            (310_400, "310 ms"),
            (4_260_000, "4.3 s"),
            (150_000_000, "2 min"),
            (7_300_000_000, "2 h"),
            (200_000_000_000, "2 d"),
        ] {
            assert_eq!(seconds(us), text);
        }
    }
}
