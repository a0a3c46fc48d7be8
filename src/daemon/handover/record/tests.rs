//! Tests of `record.rs`, with the bridge's side of the same book.

use super::*;
