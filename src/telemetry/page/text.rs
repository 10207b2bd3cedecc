//! The page as text: Prometheus' format 0.0.4, and `OpenMetrics` 1.0, which differ in a few words.

use std::fmt::{self, Write as _};

use metrics::Unit;

use super::{Family, Format, Page, Series, Value};
use crate::telemetry::histogram::Counts;
use crate::telemetry::names::Kind;

pub fn write(page: &Page, format: Format) -> String {
    let mut text = String::new();
    for family in &page.families {
        // Writing to a string cannot fail.
        let _written = write_family(&mut text, family, format == Format::OpenMetrics);
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn write_family(text: &mut String, family: &Family, open: bool) -> fmt::Result {
    let metric = family.metric;
    // OpenMetrics calls a counter by its name without the ending that each of its samples has.
    let name = if open { metric.name.trim_end_matches("_total") } else { metric.name };
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(text, "# HELP {name} {}", metric.help.replace('\\', "\\\\").replace('\n', "\\n"))?;
    writeln!(text, "# TYPE {name} {kind}")?;
    match metric.unit {
        Unit::Seconds if open => writeln!(text, "# UNIT {name} seconds")?,
        Unit::Bytes if open => writeln!(text, "# UNIT {name} bytes")?,
        _ => {}
    }
    for Series { labels, value } in &family.series {
        let mut written = String::new();
        for (name, value) in labels {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(written, "{}{name}=\"{value}\"", if written.is_empty() { "" } else { "," })?;
        }
        match value {
            Value::Histogram(counts) => write_histogram(text, metric.name, &written, counts, open)?,
            Value::Count(count) => writeln!(text, "{}{} {count}", metric.name, braced(&written))?,
            Value::Number(number) => writeln!(text, "{}{} {}", metric.name, braced(&written), shown(*number))?,
        }
    }
    Ok(())
}

fn write_histogram(text: &mut String, name: &str, labels: &str, counts: &Counts, open: bool) -> fmt::Result {
    let comma = if labels.is_empty() { "" } else { "," };
    for (bound, count) in counts.cumulative() {
        // OpenMetrics wants a bound that is whole written with its point.
        let point = if open && bound.fract() == 0.0 { ".0" } else { "" };
        writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}{point}\"}} {count}")?;
    }
    writeln!(text, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}", counts.count())?;
    writeln!(text, "{name}_sum{} {}", braced(labels), shown(counts.sum()))?;
    writeln!(text, "{name}_count{} {}", braced(labels), counts.count())
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

fn shown(number: f64) -> String {
    if number.is_infinite() { format!("{}Inf", if number > 0.0 { '+' } else { '-' }) } else { number.to_string() }
}

#[cfg(test)]
mod tests {
    use metrics::HistogramFn;

    use super::*;
    use crate::telemetry::histogram::Cell;
    use crate::telemetry::names;

    fn page() -> Page {
        let cell = Cell::default();
        cell.record(0.5);
        let labels = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        let family = |metric, labels, value| Family { metric, series: vec![Series { labels, value }] };
        Page {
            families: vec![
                family(&names::DETECTIONS, labels("label", "a\\b \"c\"\nd"), Value::Count(3)),
                family(&names::BUS_DELIVERING, labels("bus", "mqtt"), Value::Number(f64::NAN)),
                family(&names::CORES, Vec::new(), Value::Number(f64::INFINITY)),
                family(&names::BUS_ROUND_TRIP, labels("bus", "mqtt"), Value::Histogram(Box::new(cell.read()))),
            ],
        }
    }

    #[test]
    fn text_escapes_what_would_break_it() {
        let text = write(&page(), Format::Text);
        for line in [
            "sightwire_detections_total{label=\"a\\\\b \\\"c\\\"\\nd\"} 3",
            "# TYPE sightwire_detections_total counter",
            "sightwire_bus_delivering{bus=\"mqtt\"} NaN",
            "sightwire_cpu_cores +Inf",
            "sightwire_bus_round_trip_seconds_bucket{bus=\"mqtt\",le=\"0.3\"} 0",
            "sightwire_bus_round_trip_seconds_bucket{bus=\"mqtt\",le=\"1\"} 1",
            "sightwire_bus_round_trip_seconds_bucket{bus=\"mqtt\",le=\"+Inf\"} 1",
            "sightwire_bus_round_trip_seconds_sum{bus=\"mqtt\"} 0.5",
            "sightwire_bus_round_trip_seconds_count{bus=\"mqtt\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(!text.contains("# EOF") && !text.contains("# UNIT"));
    }

    #[test]
    fn openmetrics_names_counters_bounds_and_units_its_own_way_and_says_where_it_ends() {
        let text = write(&page(), Format::OpenMetrics);
        for line in [
            "# TYPE sightwire_detections counter",
            "# UNIT sightwire_bus_round_trip_seconds seconds",
            "sightwire_bus_round_trip_seconds_bucket{bus=\"mqtt\",le=\"1.0\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        assert!(text.contains("\nsightwire_detections_total{") && text.ends_with("\n# EOF\n"));
    }
}
