//! Texts as vectors: what is near in meaning is near in direction. An encoder that is part of the program (no service, no
//! runtime library, no download), vectors of one byte a number, and the search among them.
//! Not here: which texts are worth a vector, where vectors are kept, and how a meaning is weighed against words.
//! The rule: the weights stay where the program file has them; nothing reads them before a text is encoded.

mod asset;
mod attention;
mod characters;
mod encoder;
mod kernels;
mod lanes;
mod nearest;
mod vector;
mod wordpiece;

pub use encoder::Encoder;
pub use nearest::{Found, Vectors, nearest};
pub use vector::Vector;

/// Numbers in a vector.
pub const DIMENSIONS: usize = 384;

#[cfg(test)]
#[cfg(feature = "embed-model")]
mod tests;
