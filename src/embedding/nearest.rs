//! The search among vectors. `nearest` looks at every vector; `Vectors` keeps a signature of one bit a number beside each and
//! looks only at those whose signature comes near. No graph: nothing to build, what is removed is gone at once.
//! Memories are few enough that their rows are looked at instead; this is measured by the benchmark until they are not.
//! The rule: what is shown was compared with the query as it is, not rounded; a signature only chooses.

use super::kernels::{PLANES, WORDS, dot, level, shared_bits, wide};
use super::{DIMENSIONS, Vector};

/// Those that a search by signatures compares exactly: this many, and as many times what is asked for.
const LOOKED_AT: usize = 600;
const LOOKED_AT_EACH: usize = 20;
/// Vectors whose signatures lie together.
const EIGHT: usize = 8;

/// A vector that was found: its number, and its product with the query (the cosine of vectors of length one).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub index: usize,
    pub score: f32,
}

/// The `top_k` vectors nearest to the query among all, best first; of equals the earlier one.
pub fn nearest(query: &[f32; DIMENSIONS], vectors: &[Vector], top_k: usize) -> Vec<Found> {
    let (rounded, level) = (Vector::quantize(query), level());
    let score = |vector: &Vector| dot(level, rounded.codes(), vector.codes()) as f32 * vector.scale();
    let scored = vectors.iter().enumerate().map(|(index, vector)| Found { index, score: score(vector) });
    // Rounding the query may change places with neighbours: some more are compared with the query as it is.
    let near = best(scored.collect(), top_k.saturating_mul(2).saturating_add(30));
    exact(query, near.into_iter().map(|found| (found.index, &vectors[found.index])), top_k)
}

fn exact<'a>(
    query: &[f32; DIMENSIONS],
    vectors: impl Iterator<Item = (usize, &'a Vector)>,
    top_k: usize,
) -> Vec<Found> {
    let score = |(index, vector): (usize, &Vector)| Found { index, score: vector.dot_exact(query) };
    best(wide(level(), || vectors.map(score).collect()), top_k)
}

/// The best, in order.
fn best(mut found: Vec<Found>, top_k: usize) -> Vec<Found> {
    let order = |a: &Found, b: &Found| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index));
    if top_k == 0 {
        return Vec::new();
    }
    if found.len() > top_k {
        found.select_nth_unstable_by(top_k - 1, order);
        found.truncate(top_k);
    }
    found.sort_unstable_by(order);
    found
}

/// What a signature does not tell.
#[derive(Clone, Copy, Default)]
struct Outline {
    /// How far the vector reaches along each of its signs, so that the estimate of its product with itself is exact; zero
    /// where there is none.
    reach: f32,
    /// Bits of the signature that are set.
    ones: f32,
}

/// Vectors by number, with signatures for a quick search among many.
#[derive(Default)]
pub struct Vectors {
    vectors: Vec<Option<Vector>>,
    /// For each eight vectors the first words of their signatures, then the second ones, and so on.
    signatures: Vec<[[u64; EIGHT]; WORDS]>,
    outlines: Vec<Outline>,
}

impl Vectors {
    /// Appends a vector and gives its number.
    pub fn push(&mut self, vector: Vector) -> usize {
        let index = self.vectors.len();
        self.vectors.push(None);
        self.outlines.push(Outline::default());
        if index.is_multiple_of(EIGHT) {
            self.signatures.push([[0; EIGHT]; WORDS]);
        }
        self.set(index, vector);
        index
    }

    /// Puts another vector, or one that was removed before, under a number there is.
    pub fn set(&mut self, index: usize, vector: Vector) {
        let signature = signature(&vector);
        for (word, bits) in signature.iter().enumerate() {
            self.signatures[index / EIGHT][word][index % EIGHT] = *bits;
        }
        let ones = signature.iter().map(|bits| bits.count_ones()).sum::<u32>() as f32;
        self.outlines[index] = Outline { reach: reach(&vector), ones };
        self.vectors[index] = Some(vector);
    }

    /// Removes a vector; no search finds it any more, the other numbers stay.
    pub fn remove(&mut self, index: usize) {
        self.vectors[index] = None;
        self.outlines[index] = Outline::default();
        for words in &mut self.signatures[index / EIGHT] {
            words[index % EIGHT] = 0;
        }
    }

    pub fn get(&self, index: usize) -> Option<&Vector> {
        self.vectors.get(index)?.as_ref()
    }

    /// One more than the highest number given.
    pub fn len(&self) -> usize {
        self.vectors.len()
    }

    pub fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// The `top_k` nearest among those that `keep` lets pass, best first; of equals the earlier one.
    /// Where few pass, each of them is looked at.
    pub fn nearest(
        &self,
        query: &[f32; DIMENSIONS],
        top_k: usize,
        keep: impl Fn(usize) -> bool,
    ) -> Vec<Found> {
        let candidates = self.candidates(query, top_k, keep);
        let kept = candidates.into_iter().filter_map(|index| Some((index, self.vectors[index].as_ref()?)));
        exact(query, kept, top_k)
    }

    fn candidates(
        &self,
        query: &[f32; DIMENSIONS],
        top_k: usize,
        keep: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        let most = LOOKED_AT.max(LOOKED_AT_EACH.saturating_mul(top_k));
        let planes = Planes::of(query);
        let mut shared = Vec::new();
        shared_bits(level(), &planes.bits, &self.signatures, &mut shared);
        let mut near = Nearest::new(most);
        for (index, (shared, outline)) in shared.iter().zip(&self.outlines).enumerate() {
            let estimate = planes.estimate(*shared, outline);
            if estimate > near.least && outline.reach > 0.0 && keep(index) {
                near.add(index, estimate);
            }
        }
        near.found.into_iter().map(|found| found.index).collect()
    }
}

/// The best so far; sorted out whenever there are twice as many as wanted.
struct Nearest {
    most: usize,
    /// Nothing at or below this is among the best.
    least: f32,
    found: Vec<Found>,
}

impl Nearest {
    fn new(most: usize) -> Self {
        Self { most, least: f32::NEG_INFINITY, found: Vec::new() }
    }

    fn add(&mut self, index: usize, score: f32) {
        self.found.push(Found { index, score });
        if self.found.len() / 2 >= self.most {
            self.found.select_nth_unstable_by(self.most - 1, |a, b| b.score.total_cmp(&a.score));
            self.found.truncate(self.most);
            self.least = self.found[self.most - 1].score;
        }
    }
}

/// One bit a number: whether it is above zero.
fn signature(vector: &Vector) -> [u64; WORDS] {
    let mut signature = [0; WORDS];
    for (at, code) in vector.codes().iter().enumerate() {
        signature[at / 64] |= u64::from(*code > 0) << (at % 64);
    }
    signature
}

fn reach(vector: &Vector) -> f32 {
    let (mut sum, mut square) = (0i32, 0i32);
    for code in vector.codes() {
        sum += i32::from(*code).abs();
        square += i32::from(*code) * i32::from(*code);
    }
    if sum == 0 { 0.0 } else { square as f32 * vector.scale() / sum as f32 }
}

/// A query in four planes of bits, sixteen steps from its lowest to its highest number.
struct Planes {
    bits: [[u64; WORDS]; PLANES],
    lowest: f32,
    step: f32,
    sum: f32,
}

impl Planes {
    fn of(query: &[f32; DIMENSIONS]) -> Self {
        let sound = query.map(|value| if value.is_finite() { value } else { 0.0 });
        let lowest = sound.iter().copied().fold(f32::INFINITY, f32::min);
        let highest = sound.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let step = ((highest - lowest) / ((1 << PLANES) - 1) as f32).max(f32::MIN_POSITIVE);
        let mut bits = [[0; WORDS]; PLANES];
        for (at, value) in sound.iter().enumerate() {
            let code = ((value - lowest) / step).round() as u64;
            for (plane, words) in bits.iter_mut().enumerate() {
                words[at / 64] |= (code >> plane & 1) << (at % 64);
            }
        }
        Self { bits, lowest, step, sum: sound.iter().sum() }
    }

    /// The query's product with a vector of which only the signs are known.
    #[inline(always)]
    fn estimate(&self, shared: u32, outline: &Outline) -> f32 {
        let positive = self.lowest * outline.ones + self.step * shared as f32;
        (2.0 * positive - self.sum) * outline.reach
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directions around a few centres, the same each time.
    fn clusters(count: usize) -> Vec<[f32; DIMENSIONS]> {
        let mut state = 5u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        };
        let centres: Vec<[f32; DIMENSIONS]> = (0..8).map(|_| std::array::from_fn(|_| noise())).collect();
        (0..count)
            .map(|at| std::array::from_fn(|dimension| centres[at % 8][dimension] + 0.7 * noise()))
            .collect()
    }

    fn indexes(found: &[Found]) -> Vec<usize> {
        found.iter().map(|found| found.index).collect()
    }

    /// Every product in doubles, best first.
    fn by_hand(query: &[f32; DIMENSIONS], vectors: &[Vector], top_k: usize) -> Vec<usize> {
        let mut all: Vec<(usize, f64)> = vectors
            .iter()
            .map(|vector| {
                let codes = vector.codes().iter().zip(query);
                let sum: f64 = codes.map(|(code, query)| f64::from(*code) * f64::from(*query)).sum();
                sum * f64::from(vector.scale())
            })
            .enumerate()
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.iter().take(top_k).map(|(index, _)| *index).collect()
    }

    #[test]
    fn both_searches_find_what_is_nearest() {
        let all = clusters(1_010);
        let (queries, kept) = all.split_at(10);
        let kept: Vec<Vector> = kept.iter().map(Vector::quantize).collect();
        let mut vectors = Vectors::default();
        kept.iter().for_each(|vector| {
            vectors.push(vector.clone());
        });
        for query in queries {
            let expected = by_hand(query, &kept, 10);
            assert_eq!(indexes(&nearest(query, &kept, 10)), expected);
            assert_eq!(indexes(&vectors.nearest(query, 10, |_| true)), expected);
        }
    }

    #[test]
    fn what_is_removed_or_kept_out_is_not_found() {
        let all = clusters(30);
        let mut vectors = Vectors::default();
        for values in &all {
            vectors.push(Vector::quantize(values));
        }
        let first = |vectors: &Vectors, query: usize| vectors.nearest(&all[query], 1, |_| true)[0].index;
        assert_eq!(first(&vectors, 17), 17);
        vectors.remove(17);
        assert!(!indexes(&vectors.nearest(&all[17], 100, |_| true)).contains(&17));
        assert_eq!((vectors.get(17), vectors.len()), (None, 30));
        vectors.set(17, Vector::quantize(&all[3]));
        assert_eq!(indexes(&vectors.nearest(&all[3], 2, |_| true)), [3, 17], "of equals the earlier one");
        assert_eq!(indexes(&vectors.nearest(&all[3], 2, |index| index == 5)), [5]);
    }

    #[test]
    fn the_ends_of_the_range_are_bounded() {
        let query = [0.1; DIMENSIONS];
        assert_eq!(
            (nearest(&query, &[], 5), Vectors::default().nearest(&query, 5, |_| true)),
            (vec![], vec![])
        );
        let zero = Vector::quantize(&[0.0; DIMENSIONS]);
        let one = Vector::quantize(&query);
        let mut vectors = Vectors::default();
        vectors.push(zero.clone());
        vectors.push(one.clone());
        // What has no direction is near to nothing.
        assert_eq!(indexes(&vectors.nearest(&query, usize::MAX, |_| true)), [1]);
        assert_eq!(indexes(&nearest(&query, &[zero, one], 0)), Vec::<usize>::new());
        assert_eq!(vectors.nearest(&[f32::NAN; DIMENSIONS], 5, |_| true).len(), 1);
    }
}
