//! The demo's table: a line for each policy, a column for each number.

use std::fmt::Write;

use super::report::Record;

/// Two lines of heading over each column.
const HEADINGS: [[&str; 2]; 15] = [
    ["", "policy"],
    ["", "ops"],
    ["", "ops/s"],
    ["p50", "us"],
    ["p99", "us"],
    ["max", "us"],
    ["", "retries"],
    ["try", "failed"],
    ["lock", "cycles"],
    ["most", "in op"],
    ["", "bounced"],
    ["fall-", "backs"],
    ["msgs", "per op"],
    ["node %", "min/max"],
    ["data", "errors"],
];

/// The table of `records`, in lines of at most 120 columns for counts of up to six digits.
pub(crate) fn render(title: &str, records: &[Record]) -> String {
    let mut rows: Vec<[String; 15]> = Vec::new();
    for line in 0..2 {
        rows.push(HEADINGS.map(|heading| heading[line].to_owned()));
    }
    rows.extend(records.iter().map(cells));
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = format!("{title}\n");
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            // Names to the left, numbers to the right.
            let written = if column == 0 {
                write!(line, "{cell:<width$}")
            } else {
                write!(line, "  {cell:>width$}")
            };
            written.expect("writing to a string");
        }
        text.push_str(line.trim_end());
        text.push('\n');
        if number == 1 {
            text.push_str(&"-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
            text.push('\n');
        }
    }
    for record in records.iter().filter(|record| record.deadlocked) {
        writeln!(text, "{}: ended by a deadlock", record.policy).expect("writing to a string");
    }
    text
}

fn cells(record: &Record) -> [String; 15] {
    let [least, most] = record.node_share_min_max;
    [
        record.policy.to_owned(),
        record.ops.to_string(),
        format!("{:.0}", record.ops_per_s),
        record.p50_us.to_string(),
        record.p99_us.to_string(),
        record.max_us.to_string(),
        record.retries.to_string(),
        record.trylock_failed.to_string(),
        record.lock_cycles_total.to_string(),
        record.lock_cycles_max.to_string(),
        record.bounced.to_string(),
        record.fallbacks.to_string(),
        format!("{:.1}", record.lock_messages_per_op),
        format!("{:.0}/{:.0}", least * 100.0, most * 100.0),
        record.data_errors.to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_fit_a_wide_terminal() {
        let small = Record {
            policy: "block",
            deadlocked: true,
            ops: 17,
            ..Record::default()
        };
        let large = Record {
            policy: "try-cycle",
            ops: 123_456,
            ops_per_s: 411_522.3,
            p50_us: 1_000,
            p99_us: 20_000,
            max_us: 1_234_567,
            retries: 100_000,
            trylock_failed: 100_000,
            lock_cycles_total: 100_000,
            lock_messages_per_op: 123.4,
            node_share_min_max: [0.3, 0.36],
            ..Record::default()
        };
        let text = render("Cross", &[small, large]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Cross");
        assert_eq!(lines.last(), Some(&"block: ended by a deadlock"));
        let table = &lines[2..6];
        assert!(
            table.iter().all(|line| line.len() == table[0].len()),
            "{text}"
        );
        assert!(table[0].len() <= 120, "{} columns", table[0].len());
        assert!(table[3].contains("  123456  411522  "), "{text}");
    }
}
