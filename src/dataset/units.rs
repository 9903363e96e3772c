//! Units of the tables: mass prefixes and the substance behind them.

/// Lithium in lithium carbonate by mass: 2 x 6.94 / 73.89 (standard atomic weights).
const LITHIUM_IN_CARBONATE: f64 = 0.187_86;

/// Tonnes in one unit of a mass unit such as `kg`, `kt Cu/a` or `t W/yr`; nothing for other units.
pub fn tonnes_per(unit: &str) -> Option<f64> {
    parts(unit).map(|(tonnes, _)| tonnes)
}

/// Factor that turns an amount in `from` into an amount in `to`: both masses of the same substance,
/// of which either may be left unnamed, or the very same unit.
pub fn convert(from: &str, to: &str) -> Option<f64> {
    let (Some((a, of_a)), Some((b, of_b))) = (parts(from), parts(to)) else {
        return (per_year(from) == per_year(to)).then_some(1.0);
    };
    let same = of_a == of_b || of_a.is_empty() || of_b.is_empty();
    match (of_a, of_b) {
        ("LCE", "Li") => Some(a / b * LITHIUM_IN_CARBONATE),
        _ => same.then_some(a / b),
    }
}

fn per_year(unit: &str) -> &str {
    unit.strip_suffix("/yr").or_else(|| unit.strip_suffix("/a")).unwrap_or(unit)
}

fn parts(unit: &str) -> Option<(f64, &str)> {
    let unit = per_year(unit);
    let (mass, substance) = unit.split_once(' ').unwrap_or((unit, ""));
    let tonnes = match mass {
        "kg" => 1e-3,
        "t" => 1.0,
        "kt" => 1e3,
        "Mt" => 1e6,
        _ => return None,
    };
    Some((tonnes, substance))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masses_of_one_substance_convert() {
        assert_eq!(convert("t/yr", "kg/a"), Some(1000.0));
        assert_eq!(convert("t W/yr", "t W/a"), Some(1.0));
        assert_eq!(convert("t NdPr/yr", "t Nd/a"), None);
        assert_eq!(convert("million m3/yr", "million m3/a"), Some(1.0));
        assert_eq!(convert("t/yr", "share of world output"), None);
        assert!((convert("t LCE/yr", "kt Li/a").unwrap() - 0.18786e-3).abs() < 1e-9);
        assert_eq!(tonnes_per("kt Cu/a"), Some(1000.0));
    }
}
