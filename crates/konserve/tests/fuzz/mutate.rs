//! Mutations: a seed with bits, bytes, runs and lengths changed, or mixed with another, or noise.

use fastrand::Rng;

/// Bytes and words that mean something somewhere: codes, brackets, ends of ranges.
const TELLING: [&[u8]; 24] = [
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\xf8\x7f\xff\xff\xff\xff\xff\xff\xff",
    b"\xc0\xec",
    b"\xef\xdepvec\x02",
    b"\xcd",
    b"\xcc",
    b"\xee",
    b"\xed",
    b"\xfd",
    b"\xd8",
    b"\xe2",
    b"((((((((",
    b"[{#{",
    b"#inst \"",
    b"1e999999999",
    b"\\ud800",
    b"#_",
    b"^",
    b"\xed\xa0\x80",
];
const LONGEST: usize = 64 << 10;

/// A new input.
pub(crate) fn mutate(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    if rng.u8(..) < 8 {
        let length = rng.usize(..200);
        return std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
    }
    let mut input = pick(rng, seeds).to_vec();
    for _ in 0..=rng.usize(..6) {
        change(rng, seeds, &mut input);
    }
    input.truncate(LONGEST);
    input
}

fn pick<'a>(rng: &mut Rng, seeds: &'a [Vec<u8>]) -> &'a [u8] {
    &seeds[rng.usize(..seeds.len())]
}

/// A place in the input, more often near its beginning, where headers and counts are.
fn place(rng: &mut Rng, input: &[u8]) -> usize {
    let end = match rng.bool() {
        true => input.len().min(64),
        false => input.len(),
    };
    rng.usize(..=end)
}

fn change(rng: &mut Rng, seeds: &[Vec<u8>], input: &mut Vec<u8>) {
    let at = place(rng, input);
    let run = rng.usize(..=16).min(input.len() - at);
    match rng.u8(..8) {
        0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
        1 if at < input.len() => input[at] = rng.u8(..),
        2 => _ = input.splice(at..at, TELLING[rng.usize(..TELLING.len())].iter().copied()),
        3 => {
            let telling = TELLING[rng.usize(..TELLING.len())];
            let end = (at + telling.len()).min(input.len());
            input.splice(at..end, telling.iter().copied());
        }
        4 => _ = input.drain(at..at + run),
        5 => input.truncate(at),
        6 => {
            // Deep nesting and long repetition.
            let piece = input[at..at + run].to_vec();
            let times = 1 << rng.u32(..12);
            if piece.len() * times <= LONGEST {
                input.splice(at..at, piece.repeat(times));
            }
        }
        _ => {
            let other = pick(rng, seeds);
            let from = rng.usize(..=other.len());
            let to = other.len().min(from + rng.usize(..=64));
            input.splice(at..at, other[from..to].iter().copied());
        }
    }
}
