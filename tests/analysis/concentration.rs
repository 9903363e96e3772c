//! Laws of concentration: bounds hold for every way the unknown part may be held; survivors follow
//! the closed formula; merging parties never lowers the index.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use chokepoint::analysis::concentration::{Concentration, Party, survivors};
use proptest::prelude::*;

fn known(amounts: &[f64]) -> Vec<(Party, f64)> {
    amounts.iter().enumerate().map(|(i, &a)| (Party::Known(i as u32), a)).collect()
}

fn hhi(amounts: &[f64]) -> f64 {
    let total: f64 = amounts.iter().sum();
    amounts.iter().map(|a| (a / total).powi(2)).sum()
}

#[test]
fn textbook_values() {
    let found = Concentration::of(known(&[50.0, 30.0, 20.0])).unwrap();
    assert!((found.hhi.value - 0.38).abs() < 1e-12);
    assert_eq!((found.hhi.low, found.hhi.high), (found.hhi.value, found.hhi.value));
    assert!((found.top(1) - 0.5).abs() < 1e-12 && (found.top(3) - 1.0).abs() < 1e-12);
    assert!((found.effective().0 - 1.0 / 0.38).abs() < 1e-12);
    let (weighted, coverage) = found.weighted(|p| (p < 2).then_some(5.0));
    assert!((weighted.value - 5.0 * 0.34).abs() < 1e-12);
    assert!((weighted.high - (5.0 * 0.34 + 10.0 * 0.04)).abs() < 1e-12);
    assert!((coverage - 0.8).abs() < 1e-12);
    assert!(Concentration::of(known(&[0.0, 0.0])).is_none());
    assert!(Concentration::of(Vec::new()).is_none());
}

#[test]
fn removing_one_of_many_can_lower_the_index_while_supply_collapses() {
    let holdings: Vec<(Party, f64, f64)> = [0.6, 0.1, 0.1, 0.1, 0.1]
        .iter()
        .enumerate()
        .map(|(i, &a)| (Party::Known(i as u32), a, if i == 0 { 1.0 } else { 0.0 }))
        .collect();
    let before = Concentration::of(holdings.iter().map(|h| (h.0, h.1))).unwrap();
    let after = survivors(&holdings);
    assert!(after.left.unwrap().hhi.value < before.hhi.value);
    assert!((after.share_lost - 0.6).abs() < 1e-12);
    let gone: Vec<_> = holdings.iter().map(|h| (h.0, h.1, 1.0)).collect();
    let gone = survivors(&gone);
    assert!(gone.left.is_none() && gone.share_lost == 1.0);
}

proptest! {
    #![proptest_config(crate::laws::cases(300))]

    #[test]
    fn bounds_hold_however_the_unknown_part_is_held(
        amounts in prop::collection::vec(0.01f64..10.0, 1..8),
        others in prop::collection::vec(0.01f64..3.0, 0..5),
        unknown in prop::collection::vec((0usize..20, 0.01f64..3.0), 0..5),
        scores in prop::collection::vec(prop::option::of(0.0f64..10.0), 40),
    ) {
        let mut holdings = known(&amounts);
        holdings.extend(others.iter().map(|&a| (Party::Others, a)));
        holdings.extend(unknown.iter().map(|&(_, a)| (Party::Unknown, a)));
        let found = Concentration::of(holdings).unwrap();
        // One truth: others are parties of their own; each unknown amount is some known party's,
        // one of the others', or a new one's.
        let mut truth = amounts.clone();
        truth.extend(&others);
        let held = truth.len();
        for &(to, amount) in &unknown {
            if to < held { truth[to] += amount } else { truth.push(amount) }
        }
        let index = hhi(&truth);
        prop_assert!(found.hhi.low <= index + 1e-12 && index <= found.hhi.high + 1e-12, "{found:?} {index}");
        prop_assert!(found.hhi.low <= found.hhi.value && found.hhi.value <= found.hhi.high + 1e-12);

        // The weighted index: parties without a score may have any.
        let (weighted, coverage) = found.weighted(|p| scores[p as usize]);
        let total: f64 = truth.iter().sum();
        let score = |i: usize| if i < amounts.len() {
            scores[i].unwrap_or(10.0 * scores[39].unwrap_or(0.5) / 10.0)
        } else { scores[i].unwrap_or(10.0) };
        let exact: f64 = truth.iter().enumerate().map(|(i, a)| (a / total).powi(2) * score(i)).sum();
        prop_assert!(weighted.low <= exact + 1e-9 && exact <= weighted.high + 1e-9, "{weighted:?} {exact} {found:?}");
        prop_assert!((0.0..=1.0 + 1e-12).contains(&coverage));
    }

    #[test]
    fn survivors_follow_the_formula(amounts in prop::collection::vec((0.01f64..10.0, any::<bool>()), 1..10)) {
        let total: f64 = amounts.iter().map(|a| a.0).sum();
        let holdings: Vec<_> = amounts
            .iter()
            .enumerate()
            .map(|(i, &(a, gone))| (Party::Known(i as u32), a, f64::from(u8::from(gone))))
            .collect();
        let found = survivors(&holdings);
        let lost: f64 = amounts.iter().filter(|a| a.1).map(|a| a.0 / total).sum();
        prop_assert!((found.share_lost - lost).abs() < 1e-12);
        let formula: f64 = amounts
            .iter()
            .filter(|a| !a.1)
            .map(|a| (a.0 / total / (1.0 - lost)).powi(2))
            .sum();
        match found.left {
            Some(left) => prop_assert!((left.hhi.value - formula).abs() < 1e-9),
            None => prop_assert!(amounts.iter().all(|a| a.1)),
        }
    }

    #[test]
    fn acting_as_one_never_lowers_the_index(amounts in prop::collection::vec(0.01f64..10.0, 1..10), bits in any::<u16>()) {
        let found = Concentration::of(known(&amounts)).unwrap();
        let (joint, index) = found.as_one(|p| bits >> p & 1 == 1);
        prop_assert!(index >= found.hhi.value - 1e-12);
        prop_assert!((0.0..=1.0 + 1e-12).contains(&joint));
    }
}
