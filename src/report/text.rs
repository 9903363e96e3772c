//! Text for people: escaped, clipped, with no more digits than the figures carry.

use std::borrow::Cow;

/// Text for HTML and XML, element content and attributes alike. Control characters, which XML
/// forbids, and marks that turn the direction of what follows are made visible, so that a name
/// cannot pose as another.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_hidden(c) => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// Controls, direction marks and characters that XML does not take.
fn is_hidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\t' | '\n'))
        || matches!(c, '\u{200E}' | '\u{200F}' | '\u{061C}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FFFE}' | '\u{FFFF}')
}

/// At most `most` characters; what is cut off shows as an ellipsis.
pub fn clip(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some(_) => {
            let end = text.char_indices().nth(most.saturating_sub(1)).map_or(0, |(i, _)| i);
            format!("{}…", &text[..end]).into()
        }
    }
}

/// A fraction as a whole percentage; what is not zero is never shown as zero, what is not
/// everything never as everything.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent <= 0.0 {
        "0 %".into()
    } else if percent < 0.5 {
        "under 1 %".into()
    } else if percent > 99.5 && share < 1.0 {
        "over 99 %".into()
    } else {
        format!("{percent:.0} %")
    }
}

/// A loss with its range, where there is one.
pub fn with_range(value: f64, range: Option<(f64, f64)>) -> String {
    match range {
        Some((low, high)) => format!("{} ({} – {})", percent(value), percent(low), percent(high)),
        None => percent(value),
    }
}

/// A quantity with three significant digits and spaces between thousands.
pub fn quantity(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    if !value.is_finite() {
        return "unknown".into();
    }
    let digits = value.abs().log10().floor() as i32;
    if !(-5..15).contains(&digits) {
        return format!("{value:.2e}");
    }
    let decimals = (2 - digits).max(0) as usize;
    let unit = 10f64.powi((digits - 2).max(0));
    // Above a thousand the last digits go; below, the formatting rounds.
    let value = if unit > 1.0 { (value / unit).round_ties_even() * unit } else { value };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    };
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |w| ("-", w));
    let mut grouped = String::new();
    for (i, c) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i).is_multiple_of(3) {
            grouped.push('\u{202F}');
        }
        grouped.push(c);
    }
    format!("{sign}{grouped}{rest}")
}

/// An identifier as words: `gallium_high_purity` is "gallium high purity".
pub fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// `product.stage` as "product (stage)"; the last dot divides.
pub fn step(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((product, stage)) if !product.is_empty() && !stage.is_empty() => {
            format!("{} ({})", words(product), words(stage))
        }
        _ => words(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "<script>\"a\"&'b'\u{202E}\u{0}\u{1b}";
        let safe = escape(hostile);
        assert_eq!(safe, "&lt;script&gt;&quot;a&quot;&amp;&#39;b&#39;\u{FFFD}\u{FFFD}\u{FFFD}");
    }

    #[test]
    fn long_text_is_clipped_at_characters() {
        assert_eq!(clip("äöüß", 4), "äöüß");
        assert_eq!(clip("äöüßx", 4), "äöü…");
        assert_eq!(clip(&"x".repeat(10_000), 20).chars().count(), 20);
    }

    #[test]
    fn quantities_have_three_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0000000000000002, "1"),
            (0.1, "0.1"),
            (12.345, "12.3"),
            (900_000.0, "900\u{202F}000"),
            (1_234_567.0, "1\u{202F}230\u{202F}000"),
            (-0.00123456, "-0.00123"),
        ] {
            assert_eq!(quantity(value), text);
        }
    }

    #[test]
    fn no_loss_poses_as_none_or_all() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(1e-9), "under 1 %");
        assert_eq!(percent(0.999), "over 99 %");
        assert_eq!(percent(1.0), "100 %");
    }
}
