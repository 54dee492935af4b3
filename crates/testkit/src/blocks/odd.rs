//! Series that readers get wrong: odd label values, odd names, odd floats, short lives, every kind of native histogram.

use prometheus_model::{Labels, METRIC_NAME};

use super::{
    clock::Target,
    rng::mix_text,
    values::{NativeKind, Shape},
};

/// A series to be: its labels, when it is scraped, its values.
pub(crate) type Odd = (Labels, Target, Shape);

/// Label values around what formats and readers treat specially.
fn values() -> Vec<String> {
    let listed = [
        "", // no such label
        " ",
        "  leading and trailing  ",
        "\t",
        "\n",
        "a\nb\r\nc",
        "\0",
        "a\0b",
        "\u{1}\u{2}\u{1f}\u{7f}",
        "\u{80}\u{9f}",
        "\u{feff}bom",
        "\"quoted\"",
        "back\\slash",
        "comma, semicolon; {braces} = equals",
        "/slash/../..",
        "%2Fpercent%00",
        ".*",
        "a|b",
        "^$",
        "(?i:x)",
        "[a-z]+?",
        "naïve café",
        "名前",
        "🦀🦀",
        "e\u{301}",
        "\u{202e}right to left",
        "\u{10ffff}",
        "true",
        "null",
        "0",
        "-1.5e300",
        "NaN",
        // Around the 16 bytes at which statistics are cut; the last ends within a character.
        "fifteen bytes..",
        "sixteen bytes...",
        "seventeen bytes..",
        "sixteen bytes...a",
        "sixteen bytes...b",
        "fifteen bytes..é",
        "\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}",
        "\u{10ffff}\u{10ffff}\u{10ffff}\u{10ffff}!",
    ];
    let long = ["x".repeat(127), "x".repeat(128), "y".repeat(2000), "é".repeat(1000), "z".repeat(16_384)];
    listed.into_iter().map(str::to_owned).chain(long).collect()
}

/// All odd series; `end` and `interval_ms` are the block's.
pub(crate) fn odd_series(seed: u64, end: i64, interval_ms: i64) -> Vec<Odd> {
    let target = Target::lasting(mix_text(seed, "odd"));
    let mut odd = Vec::new();
    let mut add = |pairs: &[(&str, &str)], target, shape| {
        let labels = Labels::from_pairs(pairs.iter().copied()).expect("the names are constants, none of them twice");
        odd.push((labels, target, shape));
    };
    let edge = |name| [(METRIC_NAME, name), ("instance", "edge:1"), ("job", "edge")];
    // The oddest first: a small block has but some of them.
    for (kind, name) in [
        (NativeKind::Integer, "nh_int_exp"),
        (NativeKind::Mixed, "nh_mixed_types"),
        (NativeKind::FloatCustom, "nh_float_custom"),
        (NativeKind::StaleReset, "nh_stale_reset"),
        (NativeKind::NegativeZero, "nh_negative_zero"),
        (NativeKind::SchemaChange, "nh_schema_change"),
        (NativeKind::Float, "nh_float_exp"),
        (NativeKind::Custom, "nh_int_custom"),
        (NativeKind::Gauge, "nh_int_gauge"),
        (NativeKind::FloatGauge, "nh_float_gauge"),
    ] {
        add(&edge(name), target, Shape::Native(kind));
    }
    add(&edge("edge_special_values"), target, Shape::Special);
    add(&[("job", "edge"), ("noname", "true")], target, Shape::Noise);
    add(&edge("edge.utf8.metric/名前"), target, Shape::Noise);
    for (shape, samples) in [(Shape::Short(1), "1"), (Shape::Short(2), "2"), (Shape::Short(3), "3")] {
        add(&[&edge("edge_short")[..], &[("samples", samples)]].concat(), target, shape);
    }
    add(&edge("edge_late"), Target { from: end - 12 * interval_ms, ..target }, Shape::Noise);
    add(&edge("edge_constant_zero"), target, Shape::Zero);
    add(&edge("edge_noise"), target, Shape::Noise);
    for (name, value) in [("café.naïve/label name", "x"), ("http.status_code", "200"), ("名前", "名前"), ("A", "1")]
    {
        add(&[&edge("edge_utf8_label_name")[..], &[(name, value)]].concat(), target, Shape::Level);
    }
    add(&[(METRIC_NAME, "edge_only_a_name")], target, Shape::Steps);
    for (i, value) in values().iter().enumerate() {
        let index = format!("{i:02}");
        add(&[&edge("edge_label_values")[..], &[("idx", &index), ("value", value)]].concat(), target, Shape::Level);
    }
    odd
}

/// Five series of five kinds, for tests that damage every bit of a block.
pub(crate) fn tiny_series(seed: u64, end: i64, interval_ms: i64) -> Vec<Odd> {
    let target = Target::lasting(mix_text(seed, "tiny"));
    let gone = Target { until: end - 5 * interval_ms, ..target };
    [
        ("nh_float_custom", "a", target, Shape::Native(NativeKind::FloatCustom)),
        ("nh_int_exp", "a", target, Shape::Native(NativeKind::Integer)),
        ("requests_total", "a", Target { restart: Some(end - 8 * interval_ms), ..target }, Shape::Events),
        ("requests_total", "b", gone, Shape::Events),
        ("up", "a", target, Shape::One),
    ]
    .into_iter()
    .map(|(name, instance, target, shape)| {
        let labels = [(METRIC_NAME, name), ("instance", instance), ("job", "tiny")];
        (Labels::from_pairs(labels).expect("three names"), target, shape)
    })
    .collect()
}
