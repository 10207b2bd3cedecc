//! The process's series: each metric's cells, made when somebody first asks for them, kept as long as the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

use super::histogram;
use super::names::{self, Kind, Metric};
use super::page::{Family, Labels, Page, Series, Value};

/// A counter of seconds counts microseconds inside: handles count whole numbers.
pub const MICROS: f64 = 1e6;

#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Shelves>>);

#[derive(Default)]
struct Shelves {
    /// By the metric's place in [`names::ALL`].
    families: BTreeMap<usize, BTreeMap<Labels, Cell>>,
    hidden: BTreeSet<Labels>,
}

enum Cell {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<histogram::Cell>),
}

impl Registry {
    /// Series with all of these labels are shown no more, or again. They are not forgotten, so one that comes back goes on
    /// where it was.
    pub fn hide(&self, labels: Labels, yes: bool) {
        let mut shelves = self.lock();
        if yes {
            shelves.hidden.insert(labels);
        } else {
            shelves.hidden.remove(&labels);
        }
    }

    /// All that is shown, as it is now, in the order of the list of names.
    pub fn page(&self) -> Page {
        let shelves = self.lock();
        let shown = |labels: &Labels| !shelves.hidden.iter().any(|hidden| hidden.iter().all(|l| labels.contains(l)));
        let families = shelves.families.iter().map(|(place, cells)| {
            let metric = &names::ALL[*place];
            let series = cells.iter().filter(|(labels, _)| shown(labels));
            let series = series.map(|(labels, cell)| Series { labels: labels.clone(), value: cell.read(metric) });
            Family { metric, series: series.collect() }
        });
        Page { families: families.filter(|family| !family.series.is_empty()).collect() }
    }

    /// The cell of this key; `None` of a metric that is not in the list, or not of this kind.
    fn cell<T>(&self, key: &Key, kind: Kind, make: fn() -> Cell, open: fn(&Cell) -> Option<Arc<T>>) -> Option<Arc<T>> {
        let place = names::ALL.iter().position(|metric| metric.name == key.name() && metric.kind == kind)?;
        let labels: Labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
        debug_assert!(
            labels.iter().map(|(name, _)| name.as_str()).eq(names::ALL[place].labels.iter().copied()),
            "{} is registered with {labels:?}",
            key.name()
        );
        open(self.lock().families.entry(place).or_default().entry(labels).or_insert_with(make))
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cell {
    #[expect(clippy::cast_precision_loss, reason = "seconds")]
    fn read(&self, metric: &Metric) -> Value {
        match self {
            Self::Counter(cell) if metric.unit == Unit::Seconds => {
                Value::Number(cell.load(Ordering::Relaxed) as f64 / MICROS)
            }
            Self::Counter(cell) => Value::Count(cell.load(Ordering::Relaxed)),
            Self::Gauge(cell) => Value::Number(f64::from_bits(cell.load(Ordering::Relaxed))),
            Self::Histogram(cell) => Value::Histogram(Box::new(cell.read())),
        }
    }
}

impl Recorder for Registry {
    // What each metric says of itself is in the list already.
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let open = |cell: &Cell| if let Cell::Counter(cell) = cell { Some(cell.clone()) } else { None };
        self.cell(key, Kind::Counter, || Cell::Counter(Arc::default()), open).map_or(Counter::noop(), Counter::from_arc)
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let open = |cell: &Cell| if let Cell::Gauge(cell) = cell { Some(cell.clone()) } else { None };
        self.cell(key, Kind::Gauge, || Cell::Gauge(Arc::default()), open).map_or(Gauge::noop(), Gauge::from_arc)
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let open = |cell: &Cell| if let Cell::Histogram(cell) = cell { Some(cell.clone()) } else { None };
        self.cell(key, Kind::Histogram, || Cell::Histogram(Arc::default()), open)
            .map_or(Histogram::noop(), Histogram::from_arc)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::page::Format;

    #[test]
    fn hidden_series_are_those_with_all_the_labels_and_no_others() {
        let registry = Registry::default();
        let labels = |labels: &[(&str, &str)]| labels.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        metrics::with_local_recorder(&registry, || {
            for (model, family) in [("m", "yolo"), ("m", "yolox")] {
                crate::telemetry::set_model_info(model, family, "cpu");
            }
            let door = crate::telemetry::CameraMetrics::new("door");
            door.reconnect();
            crate::telemetry::CameraMetrics::new("door2").reconnect();
        });
        let lines = || {
            let page = String::from_utf8(registry.page().write(Format::Text)).unwrap();
            page.lines().filter(|line| !line.starts_with('#')).map(String::from).collect::<Vec<_>>()
        };
        let before = lines();
        registry.hide(labels(&[("camera", "door")]), true);
        registry.hide(labels(&[("model", "m"), ("family", "yolo")]), true);
        let after = lines();
        let gone: Vec<&String> = before.iter().filter(|line| !after.contains(line)).collect();
        let door = gone.iter().filter(|line| line.contains("camera=\"door\"")).count();
        assert!(door > 10 && gone.len() == door + 1, "{gone:?}");
        assert!(gone.iter().any(|line| line.contains("family=\"yolo\"")));
        assert!(after.iter().any(|line| line == "sightwire_source_reconnects_total{camera=\"door2\"} 1"));
        registry.hide(labels(&[("camera", "door")]), false);
        assert!(lines().iter().any(|line| line == "sightwire_source_reconnects_total{camera=\"door\"} 1"));
    }

    #[test]
    fn a_name_is_in_the_list_once_and_says_its_unit() {
        for (place, metric) in names::ALL.iter().enumerate() {
            assert_eq!(names::ALL.iter().position(|m| m.name == metric.name), Some(place), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            let base = metric.name.trim_end_matches("_total");
            assert_eq!(metric.unit == Unit::Seconds, base.ends_with("_seconds"), "{}", metric.name);
            assert_eq!(metric.unit == Unit::Bytes, base.ends_with("_bytes"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
