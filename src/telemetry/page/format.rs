//! In which form a scraper wants the page: what its `Accept` header prefers of what we have.

/// The forms of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4.
    Text,
    OpenMetrics,
    /// The only one with native histograms; classic buckets are in it too.
    Protobuf,
}

impl Format {
    /// Text comes last: of two that are wanted alike, the richer is given.
    const ALL: [Self; 3] = [Self::Protobuf, Self::OpenMetrics, Self::Text];

    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The form that is wanted most; plain text for who names none of ours, and for browsers, which want anything.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let ranges: Vec<Range> = accept.split(',').filter_map(Range::parse).collect();
        let mut best = (Self::Text, 0);
        for format in Self::ALL {
            let quality = ranges.iter().filter(|range| range.is(format)).map(|range| range.quality).max().unwrap_or(0);
            if quality > best.1 {
                best = (format, quality);
            }
        }
        best.0
    }
}

/// One of the things an `Accept` header lists.
struct Range {
    media: String,
    parameters: Vec<(String, String)>,
    /// Thousandths.
    quality: u32,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let media = parts.next().filter(|media| !media.is_empty())?.to_ascii_lowercase();
        let pair = |part: &str| {
            let (name, value) = part.split_once('=')?;
            Some((name.trim().to_ascii_lowercase(), value.trim().trim_matches('"').to_owned()))
        };
        let mut parameters: Vec<(String, String)> = parts.filter_map(pair).collect();
        let quality = parameters.iter().find(|(name, _)| name == "q").map_or(1.0, |(_, q)| q.parse().unwrap_or(0.0));
        parameters.retain(|(name, _)| name != "q");
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let quality = (f64::clamp(quality, 0.0, 1.0) * 1000.0) as u32;
        Some(Self { media, parameters, quality })
    }

    fn is(&self, format: Format) -> bool {
        let says = |name: &str, wanted: &[&str], or: bool| {
            let said = self.parameters.iter().find(|(n, _)| n == name);
            said.map_or(or, |(_, value)| wanted.iter().any(|w| value.eq_ignore_ascii_case(w)))
        };
        match format {
            Format::Text => self.media == "text/plain" && says("version", &["0.0.4"], true),
            Format::OpenMetrics => {
                self.media == "application/openmetrics-text" && says("version", &["1.0.0", "0.0.1"], true)
            }
            // Delimited messages of this type and nothing else that calls itself protobuf.
            Format::Protobuf => {
                self.media == "application/vnd.google.protobuf"
                    && says("proto", &["io.prometheus.client.MetricFamily"], false)
                    && says("encoding", &["delimited"], false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_the_form_it_wants_most() {
        use Format::{OpenMetrics, Protobuf, Text};
        let prometheus_2 = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let native = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, wanted) in [
            ("", Text),
            ("*/*", Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Text),
            ("text/plain;version=1.0.0", Text),
            (prometheus_2, OpenMetrics),
            (prometheus_3, OpenMetrics),
            (native, Protobuf),
            ("application/vnd.google.protobuf", Text),
            ("application/vnd.google.protobuf;proto=other;encoding=delimited, text/plain", Text),
            ("application/openmetrics-text; version=2.0.0, text/plain; q=0.1", Text),
            ("APPLICATION/OpenMetrics-Text; Version=\"1.0.0\"", OpenMetrics),
            ("application/openmetrics-text;q=0, text/plain;q=0.1", Text),
            ("application/openmetrics-text;q=0.3, text/plain;q=0.9", Text),
            (";;;q=,=,;q=NaN", Text),
        ] {
            assert_eq!(Format::accepted(accept), wanted, "{accept}");
        }
    }
}
