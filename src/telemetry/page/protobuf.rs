//! The page as `io.prometheus.client.MetricFamily` messages, each after its length: the only form that carries native
//! histograms. Every histogram is in it both ways; which are kept is for the scraper to say.

use prost::Message;

use super::{Family, Page, Series, Value};
use crate::telemetry::histogram::{Counts, SCHEMA, ZERO_THRESHOLD};
use crate::telemetry::names::Kind;

pub fn write(page: &Page) -> Vec<u8> {
    page.families.iter().flat_map(|family| MetricFamily::from(family).encode_length_delimited_to_vec()).collect()
}

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    help: String,
    /// 0 counter, 1 gauge, 4 histogram.
    #[prost(int32, tag = "3")]
    kind: i32,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Number>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Number {
    #[prost(double, tag = "1")]
    value: f64,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, tag = "1")]
    sample_count: u64,
    #[prost(double, tag = "2")]
    sample_sum: f64,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, tag = "5")]
    schema: i32,
    #[prost(double, tag = "6")]
    zero_threshold: f64,
    #[prost(uint64, tag = "7")]
    zero_count: u64,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, tag = "1")]
    cumulative_count: u64,
    #[prost(double, tag = "2")]
    upper_bound: f64,
}

/// Buckets without a gap: how many are skipped before them, and how many they are.
#[derive(Clone, Copy, PartialEq, Message)]
struct Span {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

impl From<&Family> for MetricFamily {
    fn from(family: &Family) -> Self {
        let kind = match family.metric.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 4,
        };
        let metric = family.series.iter().map(|series| Metric::new(family.metric.kind, series)).collect();
        Self { name: family.metric.name.into(), help: family.metric.help.into(), kind, metric }
    }
}

impl Metric {
    #[expect(clippy::cast_precision_loss, reason = "the format knows numbers of this kind only")]
    fn new(kind: Kind, series: &Series) -> Self {
        let pair = |(name, value): &(String, String)| LabelPair { name: name.clone(), value: value.clone() };
        let (number, histogram) = match &series.value {
            Value::Count(count) => (Some(Number { value: *count as f64 }), None),
            Value::Number(number) => (Some(Number { value: *number }), None),
            Value::Histogram(counts) => (None, Some(Histogram::from(counts.as_ref()))),
        };
        let (counter, gauge) = if kind == Kind::Counter { (number, None) } else { (None, number) };
        Self { label: series.labels.iter().map(pair).collect(), gauge, counter, histogram }
    }
}

impl From<&Counts> for Histogram {
    fn from(counts: &Counts) -> Self {
        let bucket = |(upper_bound, cumulative_count)| Bucket { cumulative_count, upper_bound };
        let mut histogram = Self {
            sample_count: counts.count(),
            sample_sum: counts.sum(),
            bucket: counts.cumulative().map(bucket).collect(),
            schema: SCHEMA,
            zero_threshold: ZERO_THRESHOLD,
            zero_count: counts.zero(),
            ..Self::default()
        };
        let (mut next, mut before) = (0, 0);
        for (index, count) in counts.native() {
            match histogram.positive_span.last_mut() {
                Some(span) if index == next => span.length += 1,
                _ => histogram.positive_span.push(Span { offset: index - next, length: 1 }),
            }
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            histogram.positive_delta.push(count - before);
            (next, before) = (index + 1, count);
        }
        if histogram.positive_span.is_empty() {
            // Tells that this one is native too, though nothing was recorded yet.
            histogram.positive_span.push(Span::default());
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use metrics::HistogramFn;

    use super::*;
    use crate::telemetry::histogram::Cell;

    #[test]
    fn native_buckets_are_spans_and_differences_beside_the_classic_ones() {
        let cell = Cell::default();
        // Buckets 0 twice, 1 once, and after a gap 8 three times; one is nothing.
        for value in [1.0, 1.0, 1.05, 2.0, 2.0, 2.0, 0.0] {
            cell.record(value);
        }
        let histogram = Histogram::from(&cell.read());
        let spans: Vec<(i32, u32)> = histogram.positive_span.iter().map(|s| (s.offset, s.length)).collect();
        assert_eq!((spans, histogram.positive_delta), (vec![(0, 2), (6, 1)], vec![2, -1, 2]));
        assert_eq!((histogram.sample_count, histogram.zero_count, histogram.schema), (7, 1, 3));
        let at = |bound| histogram.bucket.iter().find(|b| b.upper_bound == bound).unwrap().cumulative_count;
        assert_eq!((at(0.75), at(1.0), at(2.0)), (1, 3, 7));
        assert_eq!(Histogram::from(&Cell::default().read()).positive_span, [Span { offset: 0, length: 0 }]);
    }
}
