//! The encoder: a text in, a direction of 384 numbers out. Six layers of all-MiniLM-L6-v2 with weights of one byte, the mean
//! of its tokens, length one. What stands between the weights is rounded to 16 bits for each product and is float elsewhere.
//! The rule: the same text gives the same vector on one machine; between machines it may differ in the last digits.

use super::DIMENSIONS;
use super::asset::{Asset, INNER, Layer, MOST_TOKENS};
use super::kernels::{Level, Matrix, level, multiply, wide};
use super::{attention, lanes, wordpiece};
use std::sync::OnceLock;

/// The file inside the program, at a multiple of 64 so that its numbers can be read where they lie.
#[cfg(feature = "embed-model")]
#[repr(C, align(64))]
struct Aligned<T: ?Sized>(T);
#[cfg(feature = "embed-model")]
static MODEL: &Aligned<[u8]> = &Aligned(*include_bytes!("../../assets/embedding/minilm.bin"));

/// Makes vectors of texts.
pub struct Encoder {
    asset: Asset<'static>,
    level: Level,
}

impl Encoder {
    /// The encoder that is part of the program, or nothing in a build without the feature `embed-model`.
    /// The first call reads the file's header; the weights are read from disk as texts are encoded.
    pub fn built_in() -> Option<&'static Self> {
        static BUILT_IN: OnceLock<Option<Encoder>> = OnceLock::new();
        let file = built_in_file()?;
        BUILT_IN.get_or_init(|| Some(Self { asset: Asset::read(file)?, level: level() })).as_ref()
    }

    /// What tells this model's vectors from any other's: the SHA-256 of its file. Vectors of different models do not compare.
    pub fn digest(&self) -> &'static [u8; 32] {
        self.asset.digest
    }

    /// The text's direction, of length one. What is beyond the first 254 tokens (about 200 words) does not count.
    pub fn encode(&self, text: &str) -> [f32; DIMENSIONS] {
        let tokens = wordpiece::tokens(&self.asset, text, MOST_TOKENS);
        let mut state = State::new(tokens.len());
        wide(self.level, || self.embed(&tokens, &mut state.tokens));
        for layer in &self.asset.layers {
            self.pass(layer, &mut state);
        }
        wide(self.level, || mean(&state.tokens))
    }

    fn embed(&self, tokens: &[u16], out: &mut [f32]) {
        let positions = self.asset.positions.chunks_exact(DIMENSIONS);
        for ((token, position), out) in tokens.iter().zip(positions).zip(out.chunks_exact_mut(DIMENSIONS)) {
            let token = usize::from(*token);
            let codes = &self.asset.words[token * DIMENSIONS..][..DIMENSIONS];
            for (value, code) in out.iter_mut().zip(codes) {
                *value = f32::from(*code) * self.asset.word_scales[token];
            }
            lanes::add_and_norm(out, position, &self.asset.norm);
        }
    }

    fn pass(&self, layer: &Layer, state: &mut State) {
        let State { tokens, asked, mixed, inner, .. } = state;
        self.product(&layer.asked, tokens, &mut state.integers, &mut state.factors, asked);
        wide(self.level, || attention::attend(asked, mixed));
        // From here on `asked` holds what is added to the tokens.
        let added = &mut asked[..tokens.len()];
        self.product(&layer.mixed, mixed, &mut state.integers, &mut state.factors, added);
        wide(self.level, || add(tokens, added, &layer.mixed_norm));
        self.product(&layer.inner, tokens, &mut state.integers, &mut state.factors, inner);
        wide(self.level, || lanes::gelu(inner));
        self.product(&layer.outer, inner, &mut state.integers, &mut state.factors, added);
        wide(self.level, || add(tokens, added, &layer.outer_norm));
    }

    fn product(
        &self,
        matrix: &Matrix,
        values: &[f32],
        integers: &mut [i16],
        factors: &mut [f32],
        out: &mut [f32],
    ) {
        let integers = &mut integers[..values.len()];
        wide(self.level, || {
            let rows = values.chunks_exact(matrix.columns).zip(integers.chunks_exact_mut(matrix.columns));
            for ((values, integers), factor) in rows.zip(factors.iter_mut()) {
                *factor = lanes::to_integers(values, integers);
            }
        });
        multiply(self.level, matrix, integers, factors, out);
    }
}

#[cfg(feature = "embed-model")]
pub(super) fn built_in_file() -> Option<&'static [u8]> {
    Some(&MODEL.0)
}

#[cfg(not(feature = "embed-model"))]
pub(super) fn built_in_file() -> Option<&'static [u8]> {
    None
}

/// What a text is while it goes through the layers; all sizes follow from its number of tokens.
struct State {
    tokens: Vec<f32>,
    asked: Vec<f32>,
    mixed: Vec<f32>,
    inner: Vec<f32>,
    integers: Vec<i16>,
    factors: Vec<f32>,
}

impl State {
    fn new(tokens: usize) -> Self {
        Self {
            tokens: vec![0.0; tokens * DIMENSIONS],
            asked: vec![0.0; tokens * 3 * DIMENSIONS],
            mixed: vec![0.0; tokens * DIMENSIONS],
            inner: vec![0.0; tokens * INNER],
            integers: vec![0; tokens * INNER],
            factors: vec![0.0; tokens],
        }
    }
}

#[inline(always)]
fn add(tokens: &mut [f32], added: &[f32], norm: &super::asset::Norm) {
    for (token, added) in tokens.chunks_exact_mut(DIMENSIONS).zip(added.chunks_exact(DIMENSIONS)) {
        lanes::add_and_norm(token, added, norm);
    }
}

#[inline(always)]
fn mean(tokens: &[f32]) -> [f32; DIMENSIONS] {
    let mut mean = [0f32; DIMENSIONS];
    for token in tokens.chunks_exact(DIMENSIONS) {
        for (sum, value) in mean.iter_mut().zip(token) {
            *sum += value;
        }
    }
    // The length is one in the end: dividing by the number of tokens would change nothing.
    lanes::unit(&mut mean);
    mean
}
