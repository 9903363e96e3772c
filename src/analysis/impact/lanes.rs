//! Arithmetic on rows of `L` lanes, one scenario in each.

use bytemuck::cast;
use pulp::Simd;

/// The greater of two losses: one instruction, unlike `f64::max` (no loss is ever NaN).
#[inline(always)]
pub fn greater(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// The lesser of two losses.
#[inline(always)]
pub fn lesser(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

/// One of two losses, by lane. Not a closure: one is compiled apart, without wide registers.
trait Pick {
    fn one(a: f64, b: f64) -> f64;
    fn wide<S: Simd>(simd: S, a: S::f64s, b: S::f64s) -> S::f64s;
}

struct Greater;

impl Pick for Greater {
    #[inline(always)]
    fn one(a: f64, b: f64) -> f64 {
        greater(a, b)
    }

    #[inline(always)]
    fn wide<S: Simd>(simd: S, a: S::f64s, b: S::f64s) -> S::f64s {
        simd.max_f64s(a, b)
    }
}

struct Lesser;

impl Pick for Lesser {
    #[inline(always)]
    fn one(a: f64, b: f64) -> f64 {
        lesser(a, b)
    }

    #[inline(always)]
    fn wide<S: Simd>(simd: S, a: S::f64s, b: S::f64s) -> S::f64s {
        simd.min_f64s(a, b)
    }
}

/// Picks in each lane, in registers as wide as the processor has. Where several follow each other
/// the compiler takes loops over lanes apart and puts them together less well.
#[inline(always)]
fn pick<P: Pick, const L: usize, S: Simd>(simd: S, a: &[f64; L], b: &[f64; L]) -> [f64; L] {
    if L == S::F64_LANES {
        cast(P::wide(simd, cast(*a), cast(*b)))
    } else if L == 2 * S::F64_LANES {
        let (a, b): ([S::f64s; 2], [S::f64s; 2]) = (cast(*a), cast(*b));
        cast([P::wide(simd, a[0], b[0]), P::wide(simd, a[1], b[1])])
    } else if L == 4 * S::F64_LANES {
        let (a, b): ([S::f64s; 4], [S::f64s; 4]) = (cast(*a), cast(*b));
        let (low, high) = (P::wide(simd, a[0], b[0]), P::wide(simd, a[1], b[1]));
        cast([low, high, P::wide(simd, a[2], b[2]), P::wide(simd, a[3], b[3])])
    } else {
        let mut picked = *a;
        for lane in 0..L {
            picked[lane] = P::one(a[lane], b[lane]);
        }
        picked
    }
}

/// [`greater`] in each lane.
#[inline(always)]
pub fn most<const L: usize, S: Simd>(simd: S, a: &[f64; L], b: &[f64; L]) -> [f64; L] {
    pick::<Greater, L, S>(simd, a, b)
}

/// [`lesser`] in each lane.
#[inline(always)]
pub fn least<const L: usize, S: Simd>(simd: S, a: &[f64; L], b: &[f64; L]) -> [f64; L] {
    pick::<Lesser, L, S>(simd, a, b)
}

/// True if any lane differs, without a branch for each.
#[inline(always)]
pub fn differ<const L: usize>(a: &[f64; L], b: &[f64; L]) -> bool {
    (0..L).fold(false, |differs, lane| differs | (a[lane] != b[lane]))
}

/// Raises each lane to at least `by`.
pub fn raise<const L: usize>(most: &mut [f64; L], by: [f64; L]) {
    for lane in 0..L {
        most[lane] = greater(most[lane], by[lane]);
    }
}

/// Bounds that keep a lane as it is (minus infinity) or let it grow (infinity).
#[inline(always)]
pub fn bounds<const L: usize>(active: [bool; L]) -> [f64; L] {
    active.map(|a| if a { f64::INFINITY } else { f64::NEG_INFINITY })
}

/// True if no lane that may grow has anything left to lose.
#[inline(always)]
pub fn all_lost<const L: usize>(losses: &[f64; L], bounds: &[f64; L]) -> bool {
    let mut left = false;
    for lane in 0..L {
        left |= losses[lane] < lesser(1.0, bounds[lane]);
    }
    !left
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Both<const L: usize>([f64; L], [f64; L]);

    impl<const L: usize> WithSimd for Both<L> {
        type Output = ([f64; L], [f64; L]);

        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            (most(simd, &self.0, &self.1), least(simd, &self.0, &self.1))
        }
    }

    fn check<const L: usize>() {
        let a: [f64; L] = std::array::from_fn(|lane| ((lane * 7 + 3) % 5) as f64);
        let b: [f64; L] = std::array::from_fn(|lane| ((lane * 3 + 1) % 4) as f64);
        let (most, least) = Arch::new().dispatch(Both(a, b));
        for lane in 0..L {
            assert_eq!(most[lane], greater(a[lane], b[lane]), "lane {lane} of {L}");
            assert_eq!(least[lane], lesser(a[lane], b[lane]), "lane {lane} of {L}");
        }
    }

    #[test]
    fn every_number_of_lanes_has_its_minima_and_maxima() {
        check::<1>();
        check::<2>();
        check::<4>();
        check::<8>();
        check::<16>();
        check::<11>();
    }
}
