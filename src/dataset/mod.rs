//! Files <-> networks.

pub mod formats;
