//! Figures and logs: every metric in one list, handles that cost nanoseconds, log set-up.
//!
//! Rooms never call the `metrics` macros (clippy forbids it): they hold a [`CameraMetrics`] or [`BusMetrics`].

mod bus;
mod camera;
mod config;
mod cpu;
mod histogram;
mod log;
mod model;
pub mod names;
mod page;
mod panics;
mod process;
mod quantiles;
mod recent;
mod recorder;
mod registry;
mod spool;
mod traces;
mod video;
mod webrtc;

pub use bus::{BusMetrics, DropReason, MessageKind, Notice, Outcome};
pub use camera::{CameraMetrics, CameraTotals, FrameOutcome, KeyframeOutcome, Stage};
pub use config::{TelemetryConfig, TracesConfig};
pub use cpu::{Courtesy, process_cpu, step_back, thread_cpu};
pub use log::{LogFormat, StatusLine, above, init_log};
pub use model::ModelMetrics;
pub use page::Format;
pub use panics::{log_panics, panic_place};
pub use quantiles::{Mark, Quantiles};
pub use recent::{Recent, Spread, Taken};
#[cfg(test)]
pub use recorder::counted_by;
pub use recorder::{Telemetry, TelemetryError, count_command, set_build_info, set_last_reload, set_model_info};
pub use spool::SpoolMetrics;
pub use traces::{Exporter, Kind, Resource, Sampler, Span as TraceSpan, SpanId, Trace, Traced, Tracer, TracesError};
pub use video::{VideoFormat, VideoMetrics, VideoOutcome, Way};
pub use webrtc::WebRtcMetrics;
