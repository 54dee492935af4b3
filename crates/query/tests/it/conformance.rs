//! The conformance suite of the traits, over shards of many layouts.

use std::num::{NonZeroU32, NonZeroU64};

use prometheus_queryable::{
    Queryable,
    conformance::{self, check},
};
use promparquet_convert::Options as ConvertOptions;
use promparquet_query::{Options, Pruning};

use crate::shards::{NAME, converted, queryable, runtime};

fn convert_options() -> ConvertOptions {
    let mut options = ConvertOptions::default();
    options.name = NAME.into();
    options.keep_start_timestamps = true;
    options
}

fn check_layout(seed: u64, layout: &ConvertOptions, query: Options) {
    let options = conformance::Options { seed, stores: 4, questions: 40, ..conformance::Options::default() };
    let result = runtime().block_on(check(&options, async |series| {
        let shards = converted(series, layout.clone()).await;
        Box::new(queryable(shards, query)) as Box<dyn Queryable>
    }));
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn one_shard() {
    check_layout(1, &convert_options(), Options::default());
}

#[test]
fn many_small_pages_and_row_groups() {
    let mut layout = convert_options();
    layout.page_bytes = NonZeroU32::new(64).unwrap();
    layout.chunk_page_bytes = NonZeroU32::new(100).unwrap();
    layout.row_group_rows = NonZeroU32::new(3).unwrap();
    layout.data_column_duration_ms = NonZeroU64::new(60_000).unwrap();
    let mut query = Options::default();
    query.window_bytes = NonZeroU64::new(300).unwrap();
    query.window_series = NonZeroU32::new(2).unwrap();
    check_layout(2, &layout, query);
}

#[test]
fn many_shards() {
    let mut layout = convert_options();
    layout.row_group_rows = NonZeroU32::new(5).unwrap();
    layout.row_groups_per_shard = NonZeroU32::new(1);
    check_layout(3, &layout, Options::default());
}

#[test]
fn sorted_by_another_label() {
    let mut layout = convert_options();
    layout.sort_labels = vec!["job".into(), "gone".into(), "instance".into()];
    layout.bloom_filter_labels = vec!["job".into(), "instance".into()];
    layout.page_bytes = NonZeroU32::new(100).unwrap();
    let mut query = Options::default();
    query.window_series = NonZeroU32::new(3).unwrap();
    check_layout(4, &layout, query);
}

#[test]
fn without_pruning_and_projection() {
    let mut query = Options::default();
    query.pruning = Pruning::NONE;
    query.honor_projection = false;
    check_layout(5, &convert_options(), query);
}
