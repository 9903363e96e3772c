//! The clock, in one place: times as ms since 1970 and as ISO 8601.

use chrono::{DateTime, SecondsFormat, Utc};

/// Now, in ms since 1970.
pub fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}

/// A time as ISO 8601 in UTC.
pub fn iso(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}
