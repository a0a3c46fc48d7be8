//! The text that Prometheus scrapes (exposition format 0.0.4).
//! Rule: a name from outside stands within quotes and cannot end its line.

use super::{Sample, Snapshot, Value};
use std::fmt::Write;

/// What the text is, for the header.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All families, each with its help and type.
pub fn prometheus(snapshot: &Snapshot) -> String {
    let mut text = String::with_capacity(4 << 10);
    for family in snapshot.families.iter().filter(|family| !family.samples.is_empty()) {
        let name = &family.name;
        let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", family.kind.word());
        for sample in &family.samples {
            push(&mut text, name, sample);
        }
    }
    text
}

fn push(text: &mut String, name: &str, sample: &Sample) {
    match &sample.value {
        Value::Number { value } => line(text, name, "", sample, None, *value),
        Value::Distribution(all) => {
            for (bound, count) in &all.buckets {
                line(text, name, "_bucket", sample, Some(&bound.to_string()), *count as f64);
            }
            line(text, name, "_bucket", sample, Some("+Inf"), all.count as f64);
            line(text, name, "_sum", sample, None, all.sum);
            line(text, name, "_count", sample, None, all.count as f64);
        }
    }
}

fn line(text: &mut String, name: &str, part: &str, sample: &Sample, bound: Option<&str>, value: f64) {
    let _ = write!(text, "{name}{part}");
    let labels = sample.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let mut open = '{';
    for (key, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        let _ = write!(text, "{open}{key}=\"");
        open = ',';
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    if open == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

#[cfg(test)]
mod tests {
    use super::super::{Distribution, Kind};
    use super::*;

    #[test]
    fn the_text_is_that_of_the_format() {
        let mut all = Snapshot::default();
        all.family("empty", Kind::Gauge, "Nothing.");
        all.family("a_total", Kind::Counter, "One\nline \\.")
            .put(&[("b", "x\"y\\z\nw{},"), ("a", "é")], 3.0)
            .put(&[], 0.25);
        let spread = Distribution { count: 4, sum: 1.5, buckets: vec![(0.0001, 1), (1.6384, 3)] };
        all.family("h", Kind::Histogram, "H.").push(&[("s", "git")], Value::Distribution(spread));
        assert_eq!(
            prometheus(&all),
            "# HELP a_total One\\nline \\\\.\n# TYPE a_total counter\n\
             a_total{a=\"é\",b=\"x\\\"y\\\\z\\nw{},\"} 3\na_total 0.25\n\
             # HELP h H.\n# TYPE h histogram\n\
             h_bucket{s=\"git\",le=\"0.0001\"} 1\nh_bucket{s=\"git\",le=\"1.6384\"} 3\nh_bucket{s=\"git\",le=\"+Inf\"} 4\n\
             h_sum{s=\"git\"} 1.5\nh_count{s=\"git\"} 4\n"
        );
    }
}
