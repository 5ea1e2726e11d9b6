//! Random scenarios in the language of the recordings.
//!
//! Four kinds: *mixed* ones with every operation and flag on two resources, *conversions* of a few locks
//! on one resource, *stacked* flags, right and wrong, in great numbers, and *orphans*: locks that outlive
//! their clients, and clients that look for them.

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
    ("namelen=64", 1),
    ("namelen=65", 1),
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

/// A kind of scenarios.
struct Kind {
    resources: &'static [&'static str],
    /// The modes of new locks.
    modes: &'static [&'static str],
    /// Those that are converted to.
    converts: &'static [&'static str],
    /// By which the chances of flags are multiplied.
    factor: u64,
    /// The chances of operations, in percent: lock, conv, unlock, cancel, rawlkid, close; the rest waits.
    odds: [u64; 6],
    /// What is set with every other lock and conversion.
    bias: (&'static str, &'static str),
}

const KINDS: [Kind; 4] = [
    // Mixed.
    Kind {
        resources: &["R", "R", "R", "S"],
        modes: &MODES,
        converts: &MODES,
        factor: 1,
        odds: [38, 30, 14, 11, 1, 5],
        bias: ("", ""),
    },
    // Conversions.
    Kind {
        resources: &["R"],
        modes: &["NL", "CR", "CR", "PR", "PR", "CW"],
        converts: &["EX", "EX", "PW", "PR", "CW", "CR"],
        factor: 1,
        odds: [20, 68, 4, 6, 0, 1],
        bias: ("", " CONVDEADLK"),
    },
    // Stacked flags.
    Kind {
        resources: &["R"],
        modes: &MODES,
        converts: &MODES,
        factor: 3,
        odds: [38, 35, 10, 11, 1, 4],
        bias: ("", ""),
    },
    // Orphans.
    Kind {
        resources: &["R", "R", "S"],
        modes: &["NL", "PR", "EX"],
        converts: &MODES,
        factor: 1,
        odds: [46, 20, 8, 6, 1, 18],
        bias: (" PERSISTENT", ""),
    },
];

/// The lines of a scenario.
#[must_use]
pub fn scenario(random: &mut Random) -> Vec<String> {
    let kind = &KINDS[random.below(KINDS.len() as u64) as usize];
    let mut scenario = Lines {
        kind,
        lines: Vec::new(),
        tags: Vec::new(),
    };
    for number in 0..8 + random.below(25) {
        scenario.line(random, number);
    }
    scenario.lines
}

/// A scenario in the making.
struct Lines {
    kind: &'static Kind,
    lines: Vec<String>,
    /// Locks that were asked for and not unlocked, most of them: whoever asked, and what they are called.
    tags: Vec<(u64, String)>,
}

impl Lines {
    fn line(&mut self, random: &mut Random, number: u64) {
        let mut chance = random.below(100);
        let mut operation = 0;
        for odds in self.kind.odds {
            if chance < odds {
                break;
            }
            chance -= odds;
            operation += 1;
        }
        let at = random.below(self.tags.len().max(1) as u64) as usize;
        let line = match (operation, self.tags.get(at).cloned()) {
            (1, Some((client, tag))) => {
                self.silence(random);
                let mode = random.pick(self.kind.converts);
                let flags = self.flags(random, OF_CONV, self.kind.bias.1);
                format!("conv {client} {tag} {mode}{flags}{}", value(random, number))
            }
            (2, Some((client, tag))) => {
                // What is gone is used again now and then.
                if random.percent(80) {
                    self.tags.remove(at);
                }
                let flags = random.flags(OF_UNLOCK, self.kind.factor);
                format!("unlock {client} {tag}{flags}{}", value(random, number))
            }
            (3, Some((client, tag))) => format!("cancel {client} {tag}"),
            // Another client's lock, one that is gone, or none at all.
            (4, Some((client, tag))) => {
                let number = random.pick(&["0", "1", "2", "3", "0x7fff1234"]);
                format!("rawlkid {client} {tag} {number}")
            }
            (5, Some(_)) => {
                let closed = 1 + random.below(CLIENTS);
                self.tags
                    .retain(|&(client, _)| client != closed || random.percent(20));
                format!("close {closed}")
            }
            (6, Some(_)) => format!("wait {}", random.below(2) * 12_000),
            _ => self.lock(random, number),
        };
        self.lines.push(line);
    }

    fn lock(&mut self, random: &mut Random, number: u64) -> String {
        self.silence(random);
        let (client, tag) = (1 + random.below(CLIENTS), format!("t{number}"));
        let (resource, mode) = (
            random.pick(self.kind.resources),
            random.pick(self.kind.modes),
        );
        let flags = self.flags(random, OF_LOCK, self.kind.bias.0);
        let value = value(random, number);
        self.tags.push((client, tag.clone()));
        // Orphans are looked for where there may be some.
        let looks = self.kind.bias.0 == " PERSISTENT" && random.percent(35);
        let flags = if looks { " ORPHAN" } else { &flags };
        format!("lock {client} {tag} {resource} {mode}{flags}{value}")
    }

    fn flags(&self, random: &mut Random, chances: &[(&str, u64)], bias: &str) -> String {
        let mut flags = random.flags(chances, self.kind.factor);
        if random.percent(50) && !flags.contains(bias) {
            flags.push_str(bias);
        }
        flags
    }

    /// Some ask for no blocking callbacks.
    fn silence(&mut self, random: &mut Random) {
        if random.percent(4) {
            self.lines.push("nobast".to_owned());
        }
    }
}

fn value(random: &mut Random, number: u64) -> String {
    let mut text = String::new();
    if random.percent(40) {
        // Writing to a string cannot fail.
        let _ = write!(text, " lvb=v{number}");
    }
    text
}
