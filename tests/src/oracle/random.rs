//! Random scenarios in the language of the recordings.
//!
//! Three kinds: *mixed* ones with every operation and flag on two resources, *conversions* of a few locks
//! on one resource, and *stacked* flags, right and wrong, in great numbers.

use std::fmt::Write as _;

/// A source of random numbers: the same seed, the same numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The source of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    const fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len() as u64) as usize]
    }

    /// Each of the flags with its chance in percent, times `factor`.
    fn flags(&mut self, chances: &[(&str, u64)], factor: u64) -> String {
        let mut flags = String::new();
        for (flag, chance) in chances {
            if self.percent((chance * factor).min(50)) {
                flags.push(' ');
                flags.push_str(flag);
            }
        }
        flags
    }
}

const MODES: [&str; 6] = ["NL", "CR", "CW", "PR", "PW", "EX"];

const OF_LOCK: &[(&str, u64)] = &[
    ("VALBLK", 30),
    ("NOQUEUE", 15),
    ("NOQUEUEBAST", 8),
    ("HEADQUE", 8),
    ("NOORDER", 7),
    ("ALTPR", 6),
    ("ALTCW", 6),
    ("PERSISTENT", 6),
    ("EXPEDITE", 2),
    ("NODLCKWT", 3),
    ("IVVALBLK", 2),
    ("ORPHAN", 3),
    ("FORCEUNLOCK", 1),
    ("CONVDEADLK", 1),
    ("QUECVT", 1),
    ("CANCEL", 1),
    ("CONVERT", 1),
    ("TIMEOUT", 2),
    ("NODLCKBLK", 2),
    ("0x80000", 1),
    ("noast", 1),
    ("modeval=6", 1),
];

const OF_CONV: &[(&str, u64)] = &[
    ("VALBLK", 35),
    ("QUECVT", 12),
    ("CONVDEADLK", 18),
    ("NODLCKWT", 10),
    ("HEADQUE", 10),
    ("NOQUEUE", 8),
    ("NOQUEUEBAST", 6),
    ("ALTPR", 7),
    ("ALTCW", 7),
    ("NOORDER", 4),
    ("IVVALBLK", 4),
    ("PERSISTENT", 4),
    ("FORCEUNLOCK", 1),
    ("EXPEDITE", 1),
    ("CANCEL", 1),
    ("CONVERT", 2),
    ("ORPHAN", 2),
    ("0x40000000", 1),
    ("noast", 1),
    ("modeval=255", 1),
];

const OF_UNLOCK: &[(&str, u64)] = &[
    ("VALBLK", 40),
    ("IVVALBLK", 10),
    ("FORCEUNLOCK", 12),
    ("CANCEL", 6),
    ("NOQUEUE", 1),
];

const CLIENTS: u64 = 5;

/// The lines of a scenario.
#[must_use]
pub fn scenario(random: &mut Random) -> Vec<String> {
    let (resources, modes, factor): (&[&str], &[&str], u64) = match random.below(3) {
        0 => (&["R", "R", "R", "S"], &MODES, 1),
        1 => (&["R"], &MODES[..4], 1),
        _ => (&["R"], &MODES, 3),
    };
    let mut lines = Vec::new();
    let mut tags: Vec<(u64, String)> = Vec::new();
    for number in 0..8 + random.below(25) {
        let any = (!tags.is_empty()).then(|| random.below(tags.len().max(1) as u64) as usize);
        let line = match (random.below(100), any.map(|any| tags[any].clone())) {
            (28..66, Some((client, tag))) => {
                let mode = random.pick(&MODES);
                let flags = random.flags(OF_CONV, factor);
                format!("conv {client} {tag} {mode}{flags}{}", value(random, number))
            }
            (66..80, Some((client, tag))) => {
                let flags = random.flags(OF_UNLOCK, factor);
                format!("unlock {client} {tag}{flags}{}", value(random, number))
            }
            (80..93, Some((client, tag))) => format!("cancel {client} {tag}"),
            (93..98, Some(_)) => format!("close {}", 1 + random.below(CLIENTS)),
            (98.., Some(_)) => format!("wait {}", random.below(2) * 12_000),
            _ => {
                let (client, tag) = (1 + random.below(CLIENTS), format!("t{number}"));
                let (resource, mode) = (random.pick(resources), random.pick(modes));
                let flags = random.flags(OF_LOCK, factor);
                let value = value(random, number);
                tags.push((client, tag.clone()));
                format!("lock {client} {tag} {resource} {mode}{flags}{value}")
            }
        };
        lines.push(line);
    }
    lines
}

fn value(random: &mut Random, number: u64) -> String {
    let mut text = String::new();
    if random.percent(40) {
        // Writing to a string cannot fail.
        let _ = write!(text, " lvb=v{number}");
    }
    text
}
