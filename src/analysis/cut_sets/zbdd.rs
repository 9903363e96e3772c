//! Families of sets as zero-suppressed diagrams: minimal solutions, union, subsets, counting.
//!
//! A node (v, low, high) holds the sets of `low`, and those of `high` with v added. Minimal
//! solutions follow Rauzy (1993): the minimal sets that make a monotone function true.

use num_bigint::BigUint;
use rustc_hash::FxHashMap;

use super::diagram::{Diagrams, LEAF, ONE, Ref, Stop, Work, ZERO, code};

impl Work<'_> {
    /// The reduced node: a variable that no set holds is not mentioned.
    pub(super) fn element(&mut self, var: u32, low: Ref, high: Ref) -> Result<Ref, Stop> {
        if high == ZERO { Ok(low) } else { self.node(var, low, high) }
    }

    fn family_branches(&self, f: Ref, var: u32) -> (Ref, Ref) {
        if self.table.var(f) == var { (self.table.low(f), self.table.high(f)) } else { (f, ZERO) }
    }

    /// The minimal sets of variables that make a monotone function true.
    pub fn minimal(&mut self, f: Ref) -> Result<Ref, Stop> {
        if self.table.var(f) == LEAF {
            return Ok(f);
        }
        if let Some(known) = self.cached(f, 0, code::MINIMAL)? {
            return Ok(known);
        }
        let (var, f0, f1) = (self.table.var(f), self.table.low(f), self.table.high(f));
        let low = self.minimal(f0)?;
        let high = self.minimal(f1)?;
        let high = self.without(high, low)?;
        let result = self.element(var, low, high)?;
        Ok(self.remember(f, 0, code::MINIMAL, result))
    }

    /// The members of `p` that contain no member of `q` (`q` an antichain).
    pub fn without(&mut self, p: Ref, q: Ref) -> Result<Ref, Stop> {
        match (p, q) {
            (ZERO, _) | (_, ONE) => return Ok(ZERO),
            (_, ZERO) | (ONE, _) => return Ok(p),
            _ if p == q => return Ok(ZERO),
            _ => {}
        }
        let (x, y) = (self.table.var(p), self.table.var(q));
        if x > y {
            let q0 = self.table.low(q);
            return self.without(p, q0);
        }
        if let Some(known) = self.cached(p, q, code::WITHOUT)? {
            return Ok(known);
        }
        let (p0, p1) = (self.table.low(p), self.table.high(p));
        let (q0, q1) = self.family_branches(q, x);
        let low = self.without(p0, q0)?;
        let mut high = self.without(p1, q0)?;
        if q1 != ZERO {
            high = self.without(high, q1)?;
        }
        let result = self.element(x, low, high)?;
        Ok(self.remember(p, q, code::WITHOUT, result))
    }

    /// Members of either family.
    pub fn union(&mut self, f: Ref, g: Ref) -> Result<Ref, Stop> {
        match (f, g) {
            (ZERO, h) | (h, ZERO) => return Ok(h),
            _ if f == g => return Ok(f),
            _ => {}
        }
        let (a, b) = (f.min(g), f.max(g));
        if let Some(known) = self.cached(a, b, code::UNION)? {
            return Ok(known);
        }
        let var = self.table.var(a).min(self.table.var(b));
        let ((a0, a1), (b0, b1)) = (self.family_branches(a, var), self.family_branches(b, var));
        let low = self.union(a0, b0)?;
        let high = self.union(a1, b1)?;
        let result = self.element(var, low, high)?;
        Ok(self.remember(a, b, code::UNION, result))
    }

    /// The members that hold `var`, with `var` taken out.
    pub fn with(&mut self, f: Ref, var: u32) -> Result<Ref, Stop> {
        let top = self.table.var(f);
        if top > var {
            return Ok(ZERO);
        }
        if top == var {
            return Ok(self.table.high(f));
        }
        if let Some(known) = self.cached(f, var, code::WITH)? {
            return Ok(known);
        }
        let (f0, f1) = (self.table.low(f), self.table.high(f));
        let low = self.with(f0, var)?;
        let high = self.with(f1, var)?;
        let result = self.element(top, low, high)?;
        Ok(self.remember(f, var, code::WITH, result))
    }

    /// The members that do not hold `var`.
    pub fn lacking(&mut self, f: Ref, var: u32) -> Result<Ref, Stop> {
        let top = self.table.var(f);
        if top > var {
            return Ok(f);
        }
        if top == var {
            return Ok(self.table.low(f));
        }
        if let Some(known) = self.cached(f, var, code::LACKING)? {
            return Ok(known);
        }
        let (f0, f1) = (self.table.low(f), self.table.high(f));
        let low = self.lacking(f0, var)?;
        let high = self.lacking(f1, var)?;
        let result = self.element(top, low, high)?;
        Ok(self.remember(f, var, code::LACKING, result))
    }

    /// Every member of `f` joined with every member of `g`, whose variables all lie below those
    /// of `f`.
    pub fn graft(&mut self, f: Ref, g: Ref) -> Result<Ref, Stop> {
        match f {
            ZERO => return Ok(ZERO),
            ONE => return Ok(g),
            _ => {}
        }
        if let Some(known) = self.cached(f, g, code::GRAFT)? {
            return Ok(known);
        }
        let (var, f0, f1) = (self.table.var(f), self.table.low(f), self.table.high(f));
        let low = self.graft(f0, g)?;
        let high = self.graft(f1, g)?;
        let result = self.element(var, low, high)?;
        Ok(self.remember(f, g, code::GRAFT, result))
    }

    /// The function that is true if all of some member of the family is true.
    pub fn any(&mut self, f: Ref) -> Result<Ref, Stop> {
        if self.table.var(f) == LEAF {
            return Ok(f);
        }
        if let Some(known) = self.cached(f, 0, code::ANY)? {
            return Ok(known);
        }
        let (var, f0, f1) = (self.table.var(f), self.table.low(f), self.table.high(f));
        let low = self.any(f0)?;
        let high = self.any(f1)?;
        let high = self.or(high, low)?;
        let result = self.test(var, low, high)?;
        Ok(self.remember(f, 0, code::ANY, result))
    }

    /// The family that holds one set, given as ascending variables.
    pub fn single(&mut self, set: &[u32]) -> Result<Ref, Stop> {
        set.iter().rev().try_fold(ONE, |below, &var| self.node(var, ZERO, below))
    }

    /// The family that holds these sets (each ascending).
    pub fn family(&mut self, sets: &[Vec<u32>]) -> Result<Ref, Stop> {
        match sets {
            [] => Ok(ZERO),
            [set] => self.single(set),
            _ => {
                let (left, right) = sets.split_at(sets.len() / 2);
                let (left, right) = (self.family(left)?, self.family(right)?);
                self.union(left, right)
            }
        }
    }
}

/// Numbers of sets by size (index = size).
pub type Counts = Vec<BigUint>;

/// Sums of products of polynomials with whole coefficients, in u128 as long as they fit.
pub(super) trait Coefficient: Clone + Send {
    fn zero() -> Self;
    fn one() -> Self;
    fn is_zero(&self) -> bool;
    /// `self += a * b`; false on overflow.
    fn add_product(&mut self, a: &Self, b: &Self) -> bool;
}

impl Coefficient for u128 {
    fn zero() -> Self {
        0
    }
    fn one() -> Self {
        1
    }
    fn is_zero(&self) -> bool {
        *self == 0
    }
    fn add_product(&mut self, a: &Self, b: &Self) -> bool {
        match a.checked_mul(*b).and_then(|product| self.checked_add(product)) {
            Some(sum) => {
                *self = sum;
                true
            }
            None => false,
        }
    }
}

impl Coefficient for BigUint {
    fn zero() -> Self {
        BigUint::ZERO
    }
    fn one() -> Self {
        BigUint::from(1u8)
    }
    fn is_zero(&self) -> bool {
        *self == BigUint::ZERO
    }
    fn add_product(&mut self, a: &Self, b: &Self) -> bool {
        *self += a * b;
        true
    }
}

/// Adds `a * b` to `sum`; false on overflow.
fn add_product<T: Coefficient>(sum: &mut Vec<T>, a: &[T], b: &[T]) -> bool {
    if a.is_empty() || b.is_empty() {
        return true;
    }
    if sum.len() < a.len() + b.len() - 1 {
        sum.resize(a.len() + b.len() - 1, T::zero());
    }
    for (i, x) in a.iter().enumerate().filter(|(_, x)| !x.is_zero()) {
        for (j, y) in b.iter().enumerate() {
            if !sum[i + j].add_product(x, y) {
                return false;
            }
        }
    }
    true
}

impl Diagrams {
    /// Number of members by size, where variable v stands for `weights[v]` (sets by size: [0, 1]
    /// for one element). `None` on overflow.
    pub(super) fn counts_in<T: Coefficient>(
        &self,
        root: Ref,
        weights: &[Vec<T>],
    ) -> Option<Vec<T>> {
        let mut known: FxHashMap<Ref, Vec<T>> = FxHashMap::default();
        for f in self.reachable(root) {
            let counts = match f {
                ZERO => Vec::new(),
                ONE => vec![T::one()],
                _ => {
                    let mut sum = known[&self.low(f)].clone();
                    let high = &known[&self.high(f)];
                    if !add_product(&mut sum, &weights[self.var(f) as usize], high) {
                        return None;
                    }
                    sum
                }
            };
            known.insert(f, counts);
        }
        known.remove(&root)
    }
}
