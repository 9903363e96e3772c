//! Tests of the store from inside: faults, crashes, tampering.
