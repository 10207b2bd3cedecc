//! The metrics page: what is known at one moment, and the forms in which a scraper may have it.

mod format;
mod protobuf;
mod text;

use super::histogram::Counts;
use super::names::Metric;

pub use format::Format;

/// Name and value, in the order in which they are written.
pub type Labels = Vec<(String, String)>;

/// Every series that is shown.
#[derive(Debug, Default)]
pub struct Page {
    pub families: Vec<Family>,
}

/// The series of one metric.
#[derive(Debug)]
pub struct Family {
    pub metric: &'static Metric,
    pub series: Vec<Series>,
}

#[derive(Debug)]
pub struct Series {
    pub labels: Labels,
    pub value: Value,
}

#[derive(Debug)]
pub enum Value {
    Count(u64),
    Number(f64),
    Histogram(Box<Counts>),
}

impl Page {
    #[must_use]
    pub fn write(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Text | Format::OpenMetrics => text::write(self, format).into_bytes(),
            Format::Protobuf => protobuf::write(self),
        }
    }
}
