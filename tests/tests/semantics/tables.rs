//! The tables: modes beside modes, flags beside operations, conversions and their values.

use dlm_core::Mode;
use tests::oracle::Table;

use crate::script::answer;

/// Whether a lock can be had beside one that is held; rows and columns are NL, CR, CW, PR, PW, EX.
const COMPATIBLE: [&str; 6] = ["111111", "111110", "111000", "110100", "110000", "100000"];

/// Whether a conversion may carry `QUECVT`: the row is the mode held.
const MAY_QUECVT: [&str; 6] = ["011111", "001111", "000111", "001011", "000001", "000000"];

/// What a conversion does with the value: it reads, it writes, or nothing.
const VALUE: [&str; 6] = ["rrrrrr", "-rrrrr", "--rrrr", "---rrr", "wwwwwr", "wwwwww"];

/// Each flag by itself, on a new CR, a new NL, a conversion from CR to PR, one back, an unlock of PR:
/// accepted (`+`), or refused for its flags (`-`), or because there is no such lock or orphan (`n`).
const FLAGS: [(&str, &str); 19] = [
    ("NOQUEUE", "++++-"),
    ("CANCEL", "----+"),
    ("CONVERT", "nn++-"),
    ("VALBLK", "+++++"),
    ("QUECVT", "--+--"),
    ("IVVALBLK", "+++++"),
    ("CONVDEADLK", "--++-"),
    ("PERSISTENT", "++++-"),
    ("NODLCKWT", "++++-"),
    ("NODLCKBLK", "++++-"),
    ("EXPEDITE", "-+---"),
    ("NOQUEUEBAST", "++++-"),
    ("HEADQUE", "++++-"),
    ("NOORDER", "++++-"),
    ("ORPHAN", "nn++-"),
    ("ALTPR", "++++-"),
    ("ALTCW", "++++-"),
    ("FORCEUNLOCK", "+++++"),
    ("TIMEOUT", "++++-"),
];

fn at(table: [&str; 6], row: Mode, column: Mode) -> char {
    let cell = table[row as usize].chars().nth(column as usize);
    cell.expect("a column for each mode")
}

/// What the last of these operations is answered.
fn last_of(operations: &[String]) -> String {
    let mut table = Table::desk();
    let answers = operations.iter().map(|one| answer(&mut table, one));
    answers.last().expect("an operation")
}

#[test]
fn two_locks_are_held_at_once_only_in_compatible_modes() {
    for held in Mode::ALL {
        for wanted in Mode::ALL {
            let got = last_of(&[
                format!("lock 1 a R {held}"),
                format!("lock 2 b R {wanted} NOQUEUE"),
            ]);
            let compatible = at(COMPATIBLE, held, wanted) == '1';
            let expected = if compatible {
                "lkid b(0)"
            } else {
                "lkid b(-EAGAIN)"
            };
            assert_eq!(got, expected, "{wanted} beside {held}");
        }
    }
}

#[test]
fn a_conversion_is_granted_where_the_others_modes_allow_it() {
    for other in Mode::ALL {
        let holders = Mode::ALL
            .into_iter()
            .filter(|&held| at(COMPATIBLE, other, held) == '1');
        for held in holders {
            for wanted in Mode::ALL {
                let got = last_of(&[
                    format!("lock 1 h R {other}"),
                    format!("lock 2 a R {held}"),
                    format!("conv 2 a {wanted} NOQUEUE"),
                ]);
                let compatible = at(COMPATIBLE, other, wanted) == '1';
                let expected = if compatible { "0 a(0)" } else { "0 a(-EAGAIN)" };
                assert_eq!(got, expected, "{held} to {wanted} beside {other}");
            }
        }
    }
}

#[test]
fn quecvt_is_for_conversions_upwards() {
    for held in Mode::ALL {
        for wanted in Mode::ALL {
            let got = last_of(&[
                format!("lock 1 a R {held}"),
                format!("conv 1 a {wanted} QUECVT"),
            ]);
            let may = at(MAY_QUECVT, held, wanted) == '1';
            assert_eq!(
                got,
                if may { "0 a(0)" } else { "-EINVAL" },
                "{held} to {wanted}"
            );
        }
    }
}

#[test]
fn a_conversion_reads_or_writes_the_value_by_its_two_modes() {
    for held in Mode::ALL {
        for wanted in Mode::ALL {
            let mut table = Table::desk();
            for operation in [
                "lock 9 k R EX VALBLK".to_owned(),
                "conv 9 k NL VALBLK lvb=OLD".to_owned(),
                format!("lock 1 a R {held} VALBLK"),
            ] {
                answer(&mut table, &operation);
            }
            let got = answer(&mut table, &format!("conv 1 a {wanted} VALBLK lvb=NEW"));
            let then = answer(&mut table, "lock 2 r R NL VALBLK EXPEDITE");
            let does = match (got.contains("OLD"), then.contains("NEW")) {
                (true, false) => 'r',
                (false, true) => 'w',
                _ => '-',
            };
            assert_eq!(does, at(VALUE, held, wanted), "{held} to {wanted}");
        }
    }
}

#[test]
fn each_flag_is_accepted_where_the_table_says() {
    let operations: [(&[&str], &str); 5] = [
        (&[], "lock 1 a R CR"),
        (&[], "lock 1 a R NL"),
        (&["lock 1 a R CR"], "conv 1 a PR"),
        (&["lock 1 a R PR"], "conv 1 a CR"),
        (&["lock 1 a R PR"], "unlock 1 a"),
    ];
    for (flag, accepted) in FLAGS {
        for ((before, operation), expected) in operations.into_iter().zip(accepted.chars()) {
            let mut table = Table::desk();
            for operation in before {
                answer(&mut table, operation);
            }
            let got = match answer(&mut table, &format!("{operation} {flag}")).as_str() {
                "-EINVAL" => '-',
                "-ENOENT" => 'n',
                _ => '+',
            };
            assert_eq!(got, expected, "{operation} {flag}");
        }
    }
}

#[test]
fn three_pairs_of_flags_exclude_each_other() {
    for (before, operation) in [
        ("lock 1 x S NL", "lock 1 a R NL NOQUEUE EXPEDITE"),
        ("lock 1 a R CR", "conv 1 a PR NOQUEUE CONVDEADLK"),
        ("lock 1 a R PR", "unlock 1 a CANCEL FORCEUNLOCK"),
    ] {
        let got = last_of(&[before.to_owned(), operation.to_owned()]);
        assert_eq!(got, "-EINVAL", "{operation}");
    }
}
