//! Binary decision diagrams of monotone failure functions (Bryant 1986), and expectations on them.
//!
//! A variable is true if the unit is lost; the function is true if what it stands for is lost.

use std::collections::BTreeMap;

use super::diagram::{Diagrams, LEAF, ONE, Ref, Stop, Work, ZERO, code};
use super::double::Double;

impl Work<'_> {
    /// The reduced node: equal branches need no test.
    pub(super) fn test(&mut self, var: u32, low: Ref, high: Ref) -> Result<Ref, Stop> {
        if low == high { Ok(low) } else { self.node(var, low, high) }
    }

    /// The function that is one variable.
    pub fn variable(&mut self, var: u32) -> Result<Ref, Stop> {
        self.node(var, ZERO, ONE)
    }

    /// Branches of `f` at `var`, which must not lie below the top of `f`.
    pub(super) fn branches(&self, f: Ref, var: u32) -> (Ref, Ref) {
        if self.table.var(f) == var { (self.table.low(f), self.table.high(f)) } else { (f, f) }
    }

    /// Both.
    pub fn and(&mut self, f: Ref, g: Ref) -> Result<Ref, Stop> {
        match (f, g) {
            (ZERO, _) | (_, ZERO) => return Ok(ZERO),
            (ONE, h) | (h, ONE) => return Ok(h),
            _ if f == g => return Ok(f),
            _ => {}
        }
        let (a, b) = (f.min(g), f.max(g));
        if let Some(known) = self.cached(a, b, code::AND)? {
            return Ok(known);
        }
        let var = self.table.var(a).min(self.table.var(b));
        let ((a0, a1), (b0, b1)) = (self.branches(a, var), self.branches(b, var));
        let low = self.and(a0, b0)?;
        let high = self.and(a1, b1)?;
        let result = self.test(var, low, high)?;
        Ok(self.remember(a, b, code::AND, result))
    }

    /// Either.
    pub fn or(&mut self, f: Ref, g: Ref) -> Result<Ref, Stop> {
        match (f, g) {
            (ONE, _) | (_, ONE) => return Ok(ONE),
            (ZERO, h) | (h, ZERO) => return Ok(h),
            _ if f == g => return Ok(f),
            _ => {}
        }
        let (a, b) = (f.min(g), f.max(g));
        if let Some(known) = self.cached(a, b, code::OR)? {
            return Ok(known);
        }
        let var = self.table.var(a).min(self.table.var(b));
        let ((a0, a1), (b0, b1)) = (self.branches(a, var), self.branches(b, var));
        let low = self.or(a0, b0)?;
        let high = self.or(a1, b1)?;
        let result = self.test(var, low, high)?;
        Ok(self.remember(a, b, code::OR, result))
    }

    /// `g` where `f` holds, `h` elsewhere.
    pub fn ite(&mut self, f: Ref, g: Ref, h: Ref) -> Result<Ref, Stop> {
        match (f, g, h) {
            (ONE, ..) => return Ok(g),
            (ZERO, ..) => return Ok(h),
            (_, ONE, ZERO) => return Ok(f),
            (_, ONE, _) => return self.or(f, h),
            (_, _, ZERO) => return self.and(f, g),
            _ if g == h => return Ok(g),
            _ => {}
        }
        if let Some(known) = self.cached(f, g, h)? {
            return Ok(known);
        }
        let table = &self.table;
        let var = table.var(f).min(table.var(g)).min(table.var(h));
        let (f0, f1) = self.branches(f, var);
        let (g0, g1) = self.branches(g, var);
        let (h0, h1) = self.branches(h, var);
        let low = self.ite(f0, g0, h0)?;
        let high = self.ite(f1, g1, h1)?;
        let result = self.test(var, low, high)?;
        Ok(self.remember(f, g, h, result))
    }

    /// True where the weights of the true inputs sum to at least `need`.
    ///
    /// Dynamic programming over (position, sum so far), where all sums with the same outcome share
    /// one interval (Abio et al. 2012), so equal weights give n*k states and unequal ones no more
    /// than the reduced diagram has nodes.
    pub fn weighted(&mut self, inputs: &[(Ref, f64)], need: f64) -> Result<Ref, Stop> {
        let mut rest = vec![0.0; inputs.len() + 1];
        for (i, &(_, weight)) in inputs.iter().enumerate().rev() {
            rest[i] = rest[i + 1] + weight;
        }
        let mut memo = vec![BTreeMap::new(); inputs.len() + 1];
        Ok(self.weighted_from(inputs, &rest, 0, need, &mut memo)?.0)
    }

    /// The function of what is still `need`ed from position `i` on, and the interval (low, high]
    /// of needs for which it is the same.
    fn weighted_from(
        &mut self,
        inputs: &[(Ref, f64)],
        rest: &[f64],
        i: usize,
        need: f64,
        memo: &mut [BTreeMap<u64, (f64, Ref)>],
    ) -> Result<(Ref, f64, f64), Stop> {
        if need <= 0.0 {
            return Ok((ONE, f64::NEG_INFINITY, 0.0));
        }
        if need > rest[i] {
            return Ok((ZERO, rest[i], f64::INFINITY));
        }
        // Positive numbers are ordered as their bits are; keys are the upper ends.
        if let Some((&high, &(low, f))) = memo[i].range(need.to_bits()..).next()
            && need > low
        {
            return Ok((f, low, f64::from_bits(high)));
        }
        let (input, weight) = inputs[i];
        let (with, with_low, with_high) =
            self.weighted_from(inputs, rest, i + 1, need - weight, memo)?;
        let (lacking, low, high) = self.weighted_from(inputs, rest, i + 1, need, memo)?;
        let f = self.ite(input, with, lacking)?;
        let (low, high) = (low.max(with_low + weight), high.min(with_high + weight));
        if high > 0.0 && need <= high && need > low {
            memo[i].insert(high.to_bits(), (low, f));
        }
        Ok((f, low, high))
    }
}

impl Diagrams {
    /// Expected leaf value if variable v is true with probability `p[v]`, all independent.
    pub(super) fn expectation(&self, root: Ref, p: &[Double]) -> Double {
        let order = self.reachable(root);
        self.expectations(&order, p).last().copied().unwrap_or_default()
    }

    /// Position of a node in its ascending list.
    fn position(order: &[Ref], f: Ref) -> usize {
        order.partition_point(|&g| g < f)
    }

    fn expectations(&self, order: &[Ref], p: &[Double]) -> Vec<Double> {
        let mut value: Vec<Double> = Vec::with_capacity(order.len());
        for &f in order {
            let var = self.var(f);
            value.push(if var == LEAF {
                self.value(f).into()
            } else {
                let q = p[var as usize];
                let (low, high) = (self.low(f), self.high(f));
                (Double::ONE - q) * value[Self::position(order, low)]
                    + q * value[Self::position(order, high)]
            });
        }
        value
    }

    /// The expectation and its derivative by the `p[v]` of every variable tested:
    /// E given v true, less E given v false. In twice the usual precision, because these two can be
    /// the same but for their last digits.
    pub(super) fn gradient(&self, root: Ref, p: &[Double]) -> (Double, Vec<(u32, Double)>) {
        let order = self.reachable(root);
        let value = self.expectations(&order, p);
        let mut weight = vec![Double::default(); order.len()];
        let mut slope: BTreeMap<u32, Double> = BTreeMap::new();
        if let Some(last) = weight.last_mut() {
            *last = Double::ONE;
        }
        for (i, &f) in order.iter().enumerate().rev() {
            let var = self.var(f);
            if var == LEAF {
                continue;
            }
            let (w, q) = (weight[i], p[var as usize]);
            let low = Self::position(&order, self.low(f));
            let high = Self::position(&order, self.high(f));
            let of = slope.entry(var).or_default();
            *of = *of + w * (value[high] - value[low]);
            weight[low] = weight[low] + w * (Double::ONE - q);
            weight[high] = weight[high] + w * q;
        }
        (value.last().copied().unwrap_or_default(), slope.into_iter().collect())
    }
}
