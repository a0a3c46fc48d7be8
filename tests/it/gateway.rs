//! The gateway as a whole program: a raw client, the daemon, the fixture server. Both eras on both sides.
//! `cells.rs`: everything a client can do, in all four combinations; `lists.rs`: what is shown and how it changes;
//! `sharing.rs`: several clients on one server; `questions.rs`: what a server may ask, and how long that may take;
//! `streams.rs`: event streams over HTTP that a client loses and opens again.

mod cells;
mod lists;
mod questions;
mod sharing;
mod streams;
