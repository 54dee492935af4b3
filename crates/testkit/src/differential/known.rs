//! What Prometheus 3.15 does wrong, or as it comes, and what 2.42 did wrong.

use super::Evaluation;

/// Whether an answer of Prometheus is wrong, so that ours is to be another one.
pub(super) fn is_defect(query: &str, ours: &Evaluation, theirs: &Evaluation) -> bool {
    is_merged_unseen(query, ours, theirs) || is_offset_forgotten(query)
}

/// Whether an older one overlooks series that match more than once, since the comparison leaves one of them out.
pub(super) fn is_older_defect(query: &str, ours: &Evaluation, theirs: &Evaluation) -> bool {
    let compares = ["==", "!=", "<", ">"].iter().any(|op| query.contains(op));
    compares && theirs.error.is_empty() && ours.error.contains("multiple matches for labels")
}

/// Whether it made one of series that became the same, of which one has a float and the other a histogram at one time: it
/// looks for equal times among floats and among histograms only.
fn is_merged_unseen(query: &str, ours: &Evaluation, theirs: &Evaluation) -> bool {
    let renames = query.contains("label_join(") || query.contains("label_replace(");
    let has_both = ["mixed", "latency_seconds_bucket", "__name__"].iter().any(|name| query.contains(name));
    let unseen = theirs.error.is_empty() || theirs.error == "unexpected number of samples";
    renames && has_both && unseen && ours.error == "vector cannot contain metrics with the same labelset"
}

/// Whether it forgets an offset: `timestamp` of a selector with `@` sets it anew.
fn is_offset_forgotten(query: &str) -> bool {
    query.contains("timestamp(") && query.contains(" @ ") && query.contains(" offset ")
}

/// Whether we read less: Prometheus looks at samples for start timestamps also where these are not enabled.
pub(super) fn is_left_unread(query: &str, ours: &Evaluation, theirs: &Evaluation) -> bool {
    query.contains("start_timestamp(") && ours.samples < theirs.samples
}

/// Whether an error depends on what is looked at first: Prometheus goes step by step, and evaluates what stands before a
/// modifier that cannot be.
pub(super) fn is_of_data(error: &str) -> bool {
    let of_data = [
        "found duplicate series for the match group",
        "multiple matches for labels",
        "vector cannot contain metrics with the same labelset",
        "conflicting label",
        "found duplicate series for info metric",
        "modifier can only be used with",
        "invalid smoothing factor",
        "duration must be greater than 0",
    ];
    of_data.iter().any(|text| error.contains(text))
}

/// Leaves the annotations that must be the same.
pub(super) fn drop_annotations(query: &str, ours: &mut Vec<String>, theirs: &mut Vec<String>) {
    // Whether a sub-query of one step is a range depends on where that step lies.
    if query.contains(':') {
        let sorts = |text: &String| text.contains("sort is ineffective");
        ours.retain(|text| !sorts(text));
        theirs.retain(|text| !sorts(text));
    }
    // Of all that is wrong with a vector and a scalar at a step, Prometheus says the last.
    let types = "incompatible sample types encountered for binary operator";
    if theirs.iter().any(|text| text.contains(types)) {
        ours.retain(|text| !text.contains(types) || theirs.contains(text));
    }
}
