//! Tests of the store from inside: failing and forgetful storage, tampering, replay, formats.

mod faults;
mod replay;
