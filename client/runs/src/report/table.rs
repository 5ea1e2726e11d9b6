//! Tables: a line for each node or policy, a column for each number.

use std::fmt::Write;

/// A table under two lines of heads.
pub(super) struct Table {
    /// Two lines of each head.
    heads: Vec<[String; 2]>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// The first column is of names, the others of numbers.
    pub(super) fn new(heads: &[[&str; 2]]) -> Self {
        Self {
            heads: heads.iter().map(|head| head.map(str::to_owned)).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.heads.len());
        self.rows.push(cells);
    }

    /// With a line below the heads, and one above the last row where that is the sum.
    pub(super) fn render(&self, with_sum: bool) -> String {
        let widths: Vec<usize> = (0..self.heads.len())
            .map(|column| self.width(column))
            .collect();
        let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
        let mut text = String::new();
        for number in 0..2 {
            let heads = self.heads.iter().map(|head| head[number].as_str());
            line(&mut text, heads, &widths);
        }
        text.push_str(&rule);
        text.push('\n');
        for (number, row) in self.rows.iter().enumerate() {
            if with_sum && number > 0 && number + 1 == self.rows.len() {
                text.push_str(&rule);
                text.push('\n');
            }
            line(&mut text, row.iter().map(String::as_str), &widths);
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let heads = self.heads[column].iter();
        let cells = heads.chain(self.rows.iter().map(|row| &row[column]));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}

fn line<'t>(text: &mut String, cells: impl Iterator<Item = &'t str>, widths: &[usize]) {
    let start = text.len();
    for (column, (cell, &width)) in cells.zip(widths).enumerate() {
        // Names to the left, numbers to the right.
        let written = if column == 0 {
            write!(text, "{cell:<width$}")
        } else {
            write!(text, "  {cell:>width$}")
        };
        written.expect("writing to a string");
    }
    let end = text[start..].trim_end().len();
    text.truncate(start + end);
    text.push('\n');
}
