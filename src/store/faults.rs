//! Tests of the whole room: what a caller may rely on, on good days and on bad ones.

mod everyday;
