//! The encoder against the published model: tokens and vectors that `assets/embedding/make.py` wrote down.

use super::kernels::numbers;
use super::{DIMENSIONS, Encoder, asset, wordpiece};
use serde_json::Value;

fn reference() -> Vec<Value> {
    serde_json::from_str(include_str!("../../assets/embedding/reference.json")).unwrap()
}

fn file() -> &'static [u8] {
    super::encoder::built_in_file().unwrap()
}

#[test]
fn texts_become_the_tokens_of_the_reference() {
    let asset = asset::Asset::read(file()).unwrap();
    for row in reference() {
        let text = row["text"].as_str().unwrap();
        let expected: Vec<u16> = serde_json::from_value(row["tokens"].clone()).unwrap();
        assert_eq!(wordpiece::tokens(&asset, text, asset::MOST_TOKENS), expected, "{text:?}");
    }
}

#[test]
fn names_of_special_tokens_are_text() {
    let asset = asset::Asset::read(file()).unwrap();
    // "[", "sep", "]"; the reference would take it for the token that ends a text.
    assert_eq!(wordpiece::tokens(&asset, "[SEP]", 256), [101, 1031, 19802, 1033, 102]);
}

#[test]
fn long_texts_are_read_no_further_than_they_count() {
    let asset = asset::Asset::read(file()).unwrap();
    let words = "word ".repeat(200_000);
    assert_eq!(wordpiece::tokens(&asset, &words, 256).len(), 256);
    assert_eq!(wordpiece::tokens(&asset, &"x".repeat(1 << 20), 256), [101, 100, 102]);
}

#[test]
fn vectors_agree_with_the_reference() {
    let encoder = Encoder::built_in().unwrap();
    let mut compared = 0;
    for row in reference().iter().filter(|row| row["vector"].is_array()) {
        let text = row["text"].as_str().unwrap();
        let expected: Vec<f32> = serde_json::from_value(row["vector"].clone()).unwrap();
        let cosine: f32 = encoder.encode(text).iter().zip(&expected).map(|(a, b)| a * b).sum();
        assert!((0.999..1.0001).contains(&cosine), "{text:?}: {cosine}");
        compared += 1;
    }
    assert_eq!(compared, 16);
}

#[test]
fn the_file_is_whole_and_lies_where_it_is_read() {
    let file = file();
    assert_eq!(file.as_ptr().align_offset(64), 0);
    let (head, digest, body) = (&file[..96], &file[96..128], &file[128..]);
    let mut found = ring::digest::Context::new(&ring::digest::SHA256);
    found.update(head);
    found.update(body);
    assert_eq!(found.finish().as_ref(), digest);
    assert_eq!(Encoder::built_in().unwrap().digest().as_slice(), digest);
}

#[test]
fn a_cut_or_shifted_file_is_no_model() {
    let file = file();
    assert!(asset::Asset::read(&file[..file.len() - 64]).is_none());
    assert!(asset::Asset::read(&file[64..]).is_none());
    assert!(numbers::<f32>(&file[1..5]).is_none());
    assert_eq!(Encoder::built_in().unwrap().encode("").len(), DIMENSIONS);
}
