//! Who supplies whom: own supply, pinned import shares, then iterative proportional fitting.
//!
//! One table per input: rows are its suppliers with their outputs, columns its consumers with their
//! needs; both sum to the same. The cells are filled in three steps, each from what the step before
//! left:
//! 1. *Own supply*: makers of a country draw on that country's output, up to what is there; then
//!    what is left inside the European Union is shared there (members and the bloc are one).
//! 2. *Pins*: the part that a country still has to import comes from its exporters by the shares of
//!    its import statistics, up to what those exporters have left.
//! 3. *Fitting*: the rest by iterative proportional fitting (Deming and Stephan 1940). A pinned
//!    pair is a known share and gets nothing more, unless the balance cannot be met without it.

/// Sweeps of the fitting before a looser seed is tried.
const MAX_SWEEPS: usize = 400;
/// Relative error of the margins at which the fitting ends.
const TOLERANCE: f64 = 1e-9;
/// Seeds of pinned cells in the fitting, strictest first.
const PINNED_SEEDS: [f64; 3] = [0.0, 1e-3, 1.0];
/// What is left of a margin below this part of it is rounding.
const ROUNDING: f64 = 1e-12;

/// A supplier or a consumer with its amount per year.
#[derive(Debug, Clone, Copy)]
pub(super) struct Side<'a> {
    /// Country code.
    pub(super) country: &'a str,
    /// Output or need per year.
    pub(super) amount: f64,
}

/// A known share of an importer's imports.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pin<'a> {
    /// Importing country; `EUU` stands for members without shares of their own.
    pub(super) importer: &'a str,
    /// Row of the exporter.
    pub(super) row: usize,
    /// Share of the imports, 0-1.
    pub(super) share: f64,
}

/// The filled table, row-major; the three parts of a cell add up.
#[derive(Debug, Clone)]
pub(super) struct Balance {
    /// Number of columns.
    pub(super) columns: usize,
    /// From own supply.
    pub(super) own: Vec<f64>,
    /// From import shares.
    pub(super) pinned: Vec<f64>,
    /// Pin behind a pinned cell.
    pub(super) pin: Vec<Option<usize>>,
    /// From the fitting.
    pub(super) fitted: Vec<f64>,
    /// How many pins could not be served in full, because the exporter has too little.
    pub(super) short_pins: usize,
    /// True if pinned pairs had to take more than their share.
    pub(super) forced: bool,
}

struct Work<'a> {
    rows: &'a [Side<'a>],
    columns: &'a [Side<'a>],
    row_left: Vec<f64>,
    column_left: Vec<f64>,
}

/// Fills the table. The needs are scaled to the outputs first, so that rounding in the shares does
/// not keep the margins apart.
///
/// Returns nothing if a margin is met by no cell (all needs or all outputs are zero).
pub(super) fn balance(
    rows: &[Side<'_>],
    columns: &[Side<'_>],
    pins: &[Pin<'_>],
    in_eu: impl Fn(&str) -> bool,
) -> Option<Balance> {
    let supply: f64 = rows.iter().map(|r| r.amount).sum();
    let need: f64 = columns.iter().map(|c| c.amount).sum();
    if !(supply > 0.0 && need > 0.0) {
        return None;
    }
    let cells = rows.len() * columns.len();
    let mut work = Work {
        rows,
        columns,
        row_left: rows.iter().map(|r| r.amount).collect(),
        column_left: columns.iter().map(|c| c.amount * supply / need).collect(),
    };
    let mut balance = Balance {
        columns: columns.len(),
        own: vec![0.0; cells],
        pinned: vec![0.0; cells],
        pin: vec![None; cells],
        fitted: vec![0.0; cells],
        short_pins: 0,
        forced: false,
    };
    let mut countries: Vec<&str> = rows.iter().map(|r| r.country).collect();
    countries.sort_unstable();
    countries.dedup();
    // "Other" and "world" are no country: their makers may be anywhere.
    for country in countries.into_iter().filter(|c| !["OTH", "WLD"].contains(c)) {
        work.share_inside(&mut balance.own, |c| c == country);
    }
    work.share_inside(&mut balance.own, &in_eu);
    work.pin(&mut balance, pins, &in_eu);
    work.fit(&mut balance)?;
    Some(balance)
}

impl Work<'_> {
    /// Gives the suppliers inside a region to its consumers, up to the smaller of both sums.
    fn share_inside(&mut self, own: &mut [f64], inside: impl Fn(&str) -> bool) {
        let rows: Vec<usize> =
            (0..self.rows.len()).filter(|&i| inside(self.rows[i].country)).collect();
        let columns: Vec<usize> =
            (0..self.columns.len()).filter(|&j| inside(self.columns[j].country)).collect();
        let supply: f64 = rows.iter().map(|&i| self.row_left[i]).sum();
        let need: f64 = columns.iter().map(|&j| self.column_left[j]).sum();
        let given = supply.min(need);
        if given <= 0.0 {
            return;
        }
        for &i in &rows {
            for &j in &columns {
                let amount = given * (self.row_left[i] / supply) * (self.column_left[j] / need);
                own[i * self.columns.len() + j] += amount;
            }
        }
        for &i in &rows {
            self.row_left[i] *= 1.0 - given / supply;
        }
        for &j in &columns {
            self.column_left[j] *= 1.0 - given / need;
        }
        self.drop_rounding();
    }

    fn drop_rounding(&mut self) {
        for (left, side) in self.row_left.iter_mut().zip(self.rows) {
            if *left < ROUNDING * side.amount {
                *left = 0.0;
            }
        }
        for (left, side) in self.column_left.iter_mut().zip(self.columns) {
            if *left < ROUNDING * side.amount {
                *left = 0.0;
            }
        }
    }

    fn pin(&mut self, balance: &mut Balance, pins: &[Pin<'_>], in_eu: &impl Fn(&str) -> bool) {
        let width = self.columns.len();
        let mut wanted = vec![0.0; self.rows.len()];
        let mut cells: Vec<(usize, usize, usize, f64)> = Vec::new();
        for (j, column) in self.columns.iter().enumerate() {
            if self.column_left[j] <= 0.0 {
                continue;
            }
            let listed = pins.iter().any(|p| p.importer == column.country);
            let importer = match column.country {
                country if listed => country,
                country if in_eu(country) => "EUU",
                _ => continue,
            };
            for (k, pin) in pins.iter().enumerate().filter(|(_, p)| p.importer == importer) {
                let amount = pin.share * self.column_left[j];
                wanted[pin.row] += amount;
                cells.push((pin.row, j, k, amount));
            }
        }
        let served: Vec<f64> = wanted
            .iter()
            .zip(&self.row_left)
            .map(|(&w, &left)| if w > left { left / w } else { 1.0 })
            .collect();
        balance.short_pins = cells.iter().filter(|c| served[c.0] < 1.0 - 1e-9).count();
        let mut taken = vec![0.0; width];
        for (i, j, k, amount) in cells {
            let amount = amount * served[i];
            balance.pinned[i * width + j] = amount;
            balance.pin[i * width + j] = Some(k);
            self.row_left[i] -= amount;
            taken[j] += amount;
        }
        for (left, taken) in self.column_left.iter_mut().zip(&taken) {
            *left -= taken;
        }
        self.drop_rounding();
    }

    /// Fits the rest; `None` if even an even seed cannot meet the margins.
    fn fit(&mut self, balance: &mut Balance) -> Option<()> {
        let left: f64 = self.row_left.iter().sum();
        let wanted: f64 = self.column_left.iter().sum();
        if left <= 0.0 || wanted <= 0.0 {
            return Some(());
        }
        let any_pin = balance.pin.iter().any(Option::is_some);
        let seeds: &[f64] = if any_pin { &PINNED_SEEDS } else { &PINNED_SEEDS[2..] };
        // The two sums agree up to rounding; the fitting needs them equal.
        for need in &mut self.column_left {
            *need *= left / wanted;
        }
        for &seed in seeds {
            let start = balance.pin.iter().map(|p| if p.is_some() { seed } else { 1.0 }).collect();
            if let Some(fitted) = self.proportional_fitting(start) {
                balance.fitted = fitted;
                balance.forced = any_pin && seed > 0.0;
                return Some(());
            }
        }
        None
    }

    fn proportional_fitting(&self, mut cells: Vec<f64>) -> Option<Vec<f64>> {
        let width = self.columns.len();
        for _ in 0..MAX_SWEEPS {
            for (row, &goal) in cells.chunks_exact_mut(width).zip(&self.row_left) {
                scale(row, goal)?;
            }
            let mut sums = vec![0.0; width];
            for row in cells.chunks_exact(width) {
                for (sum, cell) in sums.iter_mut().zip(row) {
                    *sum += cell;
                }
            }
            let mut factors = vec![0.0; width];
            for ((factor, &sum), &goal) in factors.iter_mut().zip(&sums).zip(&self.column_left) {
                if goal > 0.0 {
                    if sum <= 0.0 {
                        return None;
                    }
                    *factor = goal / sum;
                }
            }
            for row in cells.chunks_exact_mut(width) {
                for (cell, factor) in row.iter_mut().zip(&factors) {
                    *cell *= factor;
                }
            }
            let worst = cells
                .chunks_exact(width)
                .zip(&self.row_left)
                .map(|(row, &goal)| {
                    let sum: f64 = row.iter().sum();
                    if goal > 0.0 { (sum - goal).abs() / goal } else { sum }
                })
                .fold(0.0, f64::max);
            if worst <= TOLERANCE {
                return Some(cells);
            }
        }
        None
    }
}

/// Scales a row to its goal; `None` if an empty row has a goal.
fn scale(row: &mut [f64], goal: f64) -> Option<()> {
    if goal <= 0.0 {
        row.fill(0.0);
        return Some(());
    }
    let sum: f64 = row.iter().sum();
    if sum <= 0.0 {
        return None;
    }
    for cell in row {
        *cell *= goal / sum;
    }
    Some(())
}

/// Where by-products come from: `shares[i * columns + j]` is the part of consumer j's host supply
/// that supplier i gives; each column sums to 1.
///
/// A by-product comes out of its host's own plants: a country with a host draws on it alone (then
/// on the European Union's, for members), however small it is, because the host's own use of what
/// it makes is not touched. Only a country without the host draws on the others', in proportion to
/// their output; "other countries" (`OTH`) draws on hosts whose country is not itself among the
/// consumers.
pub(super) fn follow_hosts(
    rows: &[Side<'_>],
    columns: &[Side<'_>],
    in_eu: impl Fn(&str) -> bool,
) -> Vec<(Vec<f64>, bool)> {
    let part = |inside: &dyn Fn(&str) -> bool| -> Option<Vec<f64>> {
        let sum: f64 = rows.iter().filter(|r| inside(r.country)).map(|r| r.amount).sum();
        (sum > 0.0).then(|| {
            rows.iter().map(|r| if inside(r.country) { r.amount / sum } else { 0.0 }).collect()
        })
    };
    let listed = |country: &str| columns.iter().any(|c| c.country == country);
    columns
        .iter()
        .map(|column| {
            let own = match column.country {
                "WLD" => None,
                "OTH" => part(&|c| c == "OTH"),
                country => part(&|c| c == country)
                    .or_else(|| in_eu(country).then(|| part(&|c| in_eu(c))).flatten()),
            };
            if let Some(own) = own {
                return (own, true);
            }
            let others = (column.country == "OTH").then(|| part(&|c| !listed(c))).flatten();
            let world = others.or_else(|| part(&|_| true));
            (world.unwrap_or_else(|| vec![0.0; rows.len()]), false)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COUNTRIES: [&str; 7] = ["CHN", "USA", "DEU", "FRA", "EUU", "OTH", "WLD"];

    fn in_eu(country: &str) -> bool {
        ["DEU", "FRA", "EUU"].contains(&country)
    }

    fn side() -> impl Strategy<Value = Vec<Side<'static>>> {
        prop::collection::vec(
            (prop::sample::select(&COUNTRIES[..]), 0.001f64..1000.0)
                .prop_map(|(country, amount)| Side { country, amount }),
            1..9,
        )
    }

    proptest! {
        #![proptest_config(crate::laws::cases(256))]

        #[test]
        fn margins_hold_and_no_cell_is_negative(
            rows in side(),
            columns in side(),
            pins in prop::collection::vec((0usize..7, 0usize..9, 0.0f64..0.5), 0..6),
        ) {
            let pins: Vec<Pin<'_>> = pins
                .into_iter()
                .filter(|p| p.1 < rows.len() && COUNTRIES[p.0] != rows[p.1].country)
                .map(|(importer, row, share)| Pin { importer: COUNTRIES[importer], row, share })
                .collect();
            // One share per importer and exporter, at most all imports in sum.
            let mut seen = std::collections::BTreeSet::new();
            let mut sums = std::collections::BTreeMap::new();
            let pins: Vec<Pin<'_>> = pins
                .into_iter()
                .filter(|p| {
                    let sum = sums.entry(p.importer).or_insert(0.0);
                    *sum += p.share;
                    *sum <= 1.0 && seen.insert((p.importer, p.row))
                })
                .collect();
            let b = balance(&rows, &columns, &pins, in_eu).unwrap();
            let supply: f64 = rows.iter().map(|r| r.amount).sum();
            let need: f64 = columns.iter().map(|c| c.amount).sum();
            let cell = |i: usize, j: usize| {
                let k = i * b.columns + j;
                b.own[k] + b.pinned[k] + b.fitted[k]
            };
            for (i, row) in rows.iter().enumerate() {
                let sum: f64 = (0..columns.len()).map(|j| cell(i, j)).sum();
                prop_assert!((sum / row.amount - 1.0).abs() < 1e-6, "row {i}: {sum}");
            }
            for (j, column) in columns.iter().enumerate() {
                let goal = column.amount * supply / need;
                let sum: f64 = (0..rows.len()).map(|i| cell(i, j)).sum();
                prop_assert!((sum / goal - 1.0).abs() < 1e-6, "column {j}: {sum}");
            }
            for part in [&b.own, &b.pinned, &b.fitted] {
                prop_assert!(part.iter().all(|&c| c >= 0.0));
            }
            // Own supply first: a country imports nothing while its makers still export.
            for country in ["CHN", "USA"] {
                let total = |s: &[Side<'_>]| -> f64 {
                    s.iter().filter(|s| s.country == country).map(|s| s.amount).sum()
                };
                let inside: f64 = (0..rows.len())
                    .flat_map(|i| (0..columns.len()).map(move |j| (i, j)))
                    .filter(|&(i, j)| rows[i].country == country && columns[j].country == country)
                    .map(|(i, j)| cell(i, j))
                    .sum();
                let goal = total(&rows).min(total(&columns) * supply / need);
                prop_assert!((inside - goal).abs() <= 1e-6 * goal.max(1e-9), "{country}");
            }
        }
    }

    #[test]
    fn the_imported_part_follows_the_import_shares() {
        let rows = [
            Side { country: "CHN", amount: 60.0 },
            Side { country: "USA", amount: 10.0 },
            Side { country: "FRA", amount: 30.0 },
        ];
        let columns =
            [Side { country: "USA", amount: 20.0 }, Side { country: "WLD", amount: 80.0 }];
        let pins = [Pin { importer: "USA", row: 0, share: 0.2 }];
        let b = balance(&rows, &columns, &pins, in_eu).unwrap();
        assert_eq!(b.own[2], 10.0);
        assert_eq!(b.pinned[0], 2.0);
        assert_eq!(b.fitted[0], 0.0);
        assert!((b.fitted[4] - 8.0).abs() < 1e-6);
        assert!(!b.forced);
    }

    #[test]
    fn pinned_pairs_take_more_only_if_the_balance_forces_it() {
        let rows = [Side { country: "CHN", amount: 90.0 }, Side { country: "FRA", amount: 10.0 }];
        let columns =
            [Side { country: "USA", amount: 50.0 }, Side { country: "JPN", amount: 50.0 }];
        let pins = [Pin { importer: "USA", row: 0, share: 0.2 }];
        let b = balance(&rows, &columns, &pins, in_eu).unwrap();
        assert!(b.forced);
        let from_china = b.pinned[0] + b.fitted[0];
        assert!((40.0 - 1e-6..=50.0).contains(&from_china), "{from_china}");
    }

    #[test]
    fn by_products_follow_the_host_of_their_country() {
        let rows = [Side { country: "CHN", amount: 60.0 }, Side { country: "DEU", amount: 40.0 }];
        let columns = [
            Side { country: "CHN", amount: 0.9 },
            Side { country: "FRA", amount: 0.05 },
            Side { country: "USA", amount: 0.05 },
        ];
        let parts = follow_hosts(&rows, &columns, in_eu);
        assert_eq!(parts[0], (vec![1.0, 0.0], true));
        assert_eq!(parts[1], (vec![0.0, 1.0], true));
        assert_eq!(parts[2], (vec![0.6, 0.4], false));
    }
}
