//! Who gets what of a supply, by orders: proportional, strict priority with floors, max-min.
//!
//! Every rule gives out exactly `min(supply, sum of orders)` and nobody more than ordered.

use crate::model::scenario::RationingRule;

/// One customer of a supplier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Order {
    /// What is ordered.
    pub wanted: f64,
    /// What was ordered in the baseline.
    pub baseline: f64,
    /// Class of the customer: 0 is served first.
    pub class: u16,
}

/// Gives `supply` out to `orders`; what each gets goes to `given`, in their order.
///
/// `floor`: share of its baseline that every customer gets before the classes count (priority).
pub fn give(rule: RationingRule, floor: f64, supply: f64, orders: &[Order], given: &mut Vec<f64>) {
    given.clear();
    let total: f64 = orders.iter().map(|o| o.wanted).sum();
    if supply >= total {
        given.extend(orders.iter().map(|o| o.wanted));
        return;
    }
    let supply = supply.max(0.0);
    match rule {
        RationingRule::Proportional => {
            let share = supply / total;
            given.extend(orders.iter().map(|o| share * o.wanted));
        }
        RationingRule::Priority => by_class(floor, supply, orders, given),
        RationingRule::MaxMin => max_min(supply, orders, given),
    }
}

fn by_class(floor: f64, mut supply: f64, orders: &[Order], given: &mut Vec<f64>) {
    let base = |o: &Order| (floor * o.baseline).min(o.wanted);
    let floors: f64 = orders.iter().map(base).sum();
    let share = if floors > 0.0 { (supply / floors).min(1.0) } else { 0.0 };
    given.extend(orders.iter().map(|o| share * base(o)));
    supply = (supply - share * floors).max(0.0);
    let mut class = orders.iter().map(|o| o.class).min();
    while let Some(now) = class {
        let rest = |k: usize, given: &[f64]| orders[k].wanted - given[k];
        let members = || (0..orders.len()).filter(|&k| orders[k].class == now);
        let wanted: f64 = members().map(|k| rest(k, given)).sum();
        if wanted > 0.0 && supply > 0.0 {
            let share = (supply / wanted).min(1.0);
            for k in members() {
                given[k] += share * rest(k, given);
            }
            supply = (supply - share * wanted).max(0.0);
        }
        class = orders.iter().map(|o| o.class).filter(|&c| c > now).min();
    }
}

/// All get the same multiple of their baseline, as large as possible, and none more than ordered:
/// water is filled in the order of wanted / baseline. Customers without a baseline come last.
fn max_min(mut supply: f64, orders: &[Order], given: &mut Vec<f64>) {
    given.resize(orders.len(), 0.0);
    let ratio = |k: usize| orders[k].wanted / orders[k].baseline;
    let mut open: Vec<usize> = (0..orders.len()).filter(|&k| orders[k].baseline > 0.0).collect();
    open.sort_by(|&a, &b| ratio(a).total_cmp(&ratio(b)).then(a.cmp(&b)));
    let mut baseline: f64 = open.iter().map(|&k| orders[k].baseline).sum();
    let mut at = 0;
    while at < open.len() {
        let k = open[at];
        if ratio(k) * baseline > supply {
            let level = supply / baseline;
            for &k in &open[at..] {
                given[k] = level * orders[k].baseline;
            }
            return;
        }
        given[k] = orders[k].wanted;
        supply = (supply - orders[k].wanted).max(0.0);
        baseline -= orders[k].baseline;
        at += 1;
    }
    let late: f64 = orders.iter().filter(|o| o.baseline <= 0.0).map(|o| o.wanted).sum();
    if late > 0.0 {
        let share = (supply / late).min(1.0);
        for (k, o) in orders.iter().enumerate().filter(|(_, o)| o.baseline <= 0.0) {
            given[k] = share * o.wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn orders() -> impl Strategy<Value = Vec<Order>> {
        let one = (0.0f64..10.0, prop_oneof![Just(0.0), 0.1f64..10.0], 0u16..4)
            .prop_map(|(wanted, baseline, class)| Order { wanted, baseline, class });
        prop::collection::vec(one, 0..12)
    }

    proptest! {
        #![proptest_config(crate::laws::cases(256))]

        #[test]
        fn goods_are_conserved_and_nobody_gets_more_than_ordered(
            orders in orders(), supply in 0.0f64..80.0, floor in 0.0f64..=1.0
        ) {
            let total: f64 = orders.iter().map(|o| o.wanted).sum();
            for rule in [RationingRule::Proportional, RationingRule::Priority, RationingRule::MaxMin] {
                let mut given = Vec::new();
                give(rule, floor, supply, &orders, &mut given);
                prop_assert_eq!(given.len(), orders.len());
                let sum: f64 = given.iter().sum();
                prop_assert!((sum - supply.min(total)).abs() < 1e-9, "{rule:?} {sum} of {supply}");
                for (g, o) in given.iter().zip(&orders) {
                    prop_assert!(*g >= 0.0 && *g <= o.wanted + 1e-12, "{rule:?} {g} {o:?}");
                }
            }
        }

        #[test]
        fn a_class_is_served_in_full_before_the_next_gets_anything(
            orders in orders(), supply in 0.0f64..80.0
        ) {
            let mut given = Vec::new();
            give(RationingRule::Priority, 0.0, supply, &orders, &mut given);
            for (a, ga) in orders.iter().zip(&given) {
                for (b, gb) in orders.iter().zip(&given) {
                    if a.class < b.class && *gb > 1e-9 {
                        prop_assert!((ga - a.wanted).abs() < 1e-9);
                    }
                }
            }
        }

        #[test]
        fn nobody_is_served_worse_than_need_be_under_max_min(
            orders in orders(), supply in 0.0f64..80.0
        ) {
            let mut given = Vec::new();
            give(RationingRule::MaxMin, 0.0, supply, &orders, &mut given);
            // Whoever is short is served at least as well as anyone else, relative to its baseline.
            for (a, ga) in orders.iter().zip(&given).filter(|(o, _)| o.baseline > 0.0) {
                if ga + 1e-9 < a.wanted {
                    for (b, gb) in orders.iter().zip(&given).filter(|(o, _)| o.baseline > 0.0) {
                        prop_assert!(gb / b.baseline <= ga / a.baseline + 1e-9);
                    }
                }
            }
        }
    }
}
