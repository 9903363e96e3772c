//! Bounded fuzzing of every parser: the corpus, and seeded mutations of it. `FUZZ_ROUNDS` (default
//! 200) says how many mutations each seed gets; `FUZZ_SEED` changes them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../fuzz/entry.rs"]
mod entry;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Bits of text that parsers care about.
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"",
    "\\u0000",
    ",",
    ":",
    "|",
    "!",
    "*",
    "\n",
    "\r\n",
    "<",
    ">",
    "&amp;",
    "<!DOCTYPE x [<!ENTITY a \"b\">]>",
    "NaN",
    "1e999",
    "-1",
    "null",
    "\u{feff}",
    "\u{202e}",
    "=cmd()",
    "type",
    "node",
    "flow",
    "id",
    "from",
    "to",
    "999999999999999999999",
    "../",
    "\0",
];

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn mutate(seed: &[u8], others: &[Vec<u8>], random: &mut Pcg64Mcg) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=data.len());
        match random.random_range(0..6) {
            0 if at < data.len() => data[at] ^= 1 << random.random_range(0..8),
            1 => data.truncate(at),
            2 => {
                let word = WORDS[random.random_range(0..WORDS.len())];
                data.splice(at..at, word.bytes());
            }
            3 if at < data.len() => {
                let end = (at + random.random_range(1..40)).min(data.len());
                data.drain(at..end);
            }
            4 if at < data.len() => {
                let end = (at + random.random_range(1..40)).min(data.len());
                let copy = data[at..end].to_vec();
                data.splice(at..at, copy);
            }
            _ => {
                let other = &others[random.random_range(0..others.len())];
                let from = random.random_range(0..=other.len());
                data.truncate(at);
                data.extend(&other[from..]);
            }
        }
    }
    data
}

#[test]
fn no_parser_breaks() {
    let rounds = variable("FUZZ_ROUNDS", 200);
    let mut random = Pcg64Mcg::seed_from_u64(variable("FUZZ_SEED", 1));
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for parser in entry::PARSERS {
        let mut files: Vec<_> = std::fs::read_dir(corpus.join(parser))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        assert!(!files.is_empty(), "{parser} has no corpus");
        let seeds: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
        for seed in &seeds {
            entry::run(parser, seed);
            for _ in 0..rounds {
                let data = mutate(seed, &seeds, &mut random);
                let held = catch_unwind(AssertUnwindSafe(|| entry::run(parser, &data)));
                assert!(held.is_ok(), "{parser} breaks on {:?}", String::from_utf8_lossy(&data));
            }
        }
    }
}
