//! Every metric's name, kind, unit and help, in one list. Nothing else in the program spells a metric's name.

use metrics::Unit;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug, Clone, Copy)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    /// The labels of its series, all of them and no others.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, unit: Unit, help: &'static str) -> Metric {
    Metric { name, kind, unit, labels: &[], help }
}

impl Metric {
    const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, ..self }
    }
}

use Kind::{Counter, Gauge, Histogram};

pub const STAGE_DURATION: Metric = metric(
    "sightwire_stage_duration_seconds",
    Histogram,
    Unit::Seconds,
    "Time one frame or message spent in one stage (decode, wait, preprocess, inference, postprocess, track, encode, deliver).",
).by(&["camera", "stage"]);
pub const CAPTURE_TO_PUBLISH: Metric = metric(
    "sightwire_capture_to_publish_seconds",
    Histogram,
    Unit::Seconds,
    "From the frame's capture until its detections message was handed to the bus's socket.",
)
.by(&["camera", "bus"]);
pub const CAPTURE_TO_ACK: Metric = metric(
    "sightwire_capture_to_ack_seconds",
    Histogram,
    Unit::Seconds,
    "From the frame's capture until the broker acknowledged its message (QoS 1, JetStream).",
)
.by(&["camera", "bus"]);
pub const FRAMES: Metric = metric(
    "sightwire_frames_total",
    Counter,
    Unit::Count,
    "Frames read, by what became of them (inferred, dropped_stale, dropped_paused, skipped_rate, skipped_static, failed).",
)
.by(&["camera", "outcome"]);
pub const KEYFRAMES: Metric = metric(
    "sightwire_keyframes_total",
    Counter,
    Unit::Count,
    "Keyframes asked for, by what became of them (encoded, superseded by a newer one, failed).",
)
.by(&["camera", "outcome"]);
pub const DETECTIONS: Metric =
    metric("sightwire_detections_total", Counter, Unit::Count, "Objects detected and published, by label.")
        .by(&["camera", "label"]);
pub const MESSAGES: Metric = metric(
    "sightwire_messages_total",
    Counter,
    Unit::Count,
    "Messages by outcome; at every moment offered + restored = acked or sent + dropped + refused + kept + waiting (sightwire_outbox_messages).",
).by(&["bus", "kind", "outcome"]);
pub const MESSAGES_DROPPED: Metric = metric(
    "sightwire_messages_dropped_total",
    Counter,
    Unit::Count,
    "Messages given up, by reason (full: no room in memory; closed: the deadline of the shut-down; spool_full: no room on disk; damaged: unreadable on disk).",
).by(&["bus", "kind", "reason"]);
pub const OUTBOX_MESSAGES: Metric =
    metric("sightwire_outbox_messages", Gauge, Unit::Count, "Messages accepted and not yet sent or acknowledged.")
        .by(&["bus", "kind"]);
pub const OUTBOX_BYTES: Metric =
    metric("sightwire_outbox_bytes", Gauge, Unit::Bytes, "Payload bytes of the messages that wait in the outbox.")
        .by(&["bus", "kind"]);
pub const SPOOL_MESSAGES: Metric =
    metric("sightwire_spool_messages", Gauge, Unit::Count, "Messages that lie in the spool on disk.").by(&["bus"]);
pub const SPOOL_BYTES: Metric =
    metric("sightwire_spool_bytes", Gauge, Unit::Bytes, "Room that the messages in the spool take on disk.")
        .by(&["bus"]);
pub const SPOOL_MAX_BYTES: Metric =
    metric("sightwire_spool_max_bytes", Gauge, Unit::Bytes, "Room that the spool may take (spool.max_size).")
        .by(&["bus"]);
pub const SPOOL_OK: Metric = metric(
    "sightwire_spool_ok",
    Gauge,
    Unit::Count,
    "1 while the spool takes messages, 0 while they wait in memory only; the log and /readyz say why.",
)
.by(&["bus"]);
pub const BUS_CONNECTED: Metric =
    metric("sightwire_bus_connected", Gauge, Unit::Count, "1 while the bus is connected, else 0.").by(&["bus"]);
pub const BUS_RECONNECTS: Metric =
    metric("sightwire_bus_reconnects_total", Counter, Unit::Count, "Connections made to the bus after the first one.")
        .by(&["bus"]);
pub const BUS_ROUND_TRIP: Metric = metric(
    "sightwire_bus_round_trip_seconds",
    Histogram,
    Unit::Seconds,
    "From publishing the delivery probe until the node received it back from the broker.",
)
.by(&["bus"]);
pub const BUS_DELIVERING: Metric = metric(
    "sightwire_bus_delivering",
    Gauge,
    Unit::Count,
    "1 while the delivery probe comes back, 0 when it does not or the bus is down; NaN while that is not known (probe off, forbidden, or not yet back).",
).by(&["bus"]);
pub const BUS_CONTROL_CONNECTED: Metric = metric(
    "sightwire_bus_control_connected",
    Gauge,
    Unit::Count,
    "1 while commands can arrive over this bus: it is connected and every control topic is subscribed to.",
)
.by(&["bus"]);
pub const BUS_NOTICES: Metric = metric(
    "sightwire_bus_notices_total",
    Counter,
    Unit::Count,
    "What a server said or showed besides its work (taken_over, control_refused, listen_refused, publish_forbidden, lame_duck, slow_consumer, not_delivering, unproven, error).",
).by(&["bus", "notice"]);
pub const KEYFRAMES_SHRUNK: Metric = metric(
    "sightwire_keyframes_shrunk_total",
    Counter,
    Unit::Count,
    "Keyframes encoded again, smaller, because the server takes no message of their size.",
)
.by(&["bus"]);
pub const SOURCE_RECONNECTS: Metric = metric(
    "sightwire_source_reconnects_total",
    Counter,
    Unit::Count,
    "Attempts to open a camera's source again after it failed.",
)
.by(&["camera"]);
pub const SOURCE_ABANDONED: Metric = metric(
    "sightwire_source_abandoned_total",
    Counter,
    Unit::Count,
    "Capture threads that were stuck in native code and given up.",
)
.by(&["camera"]);
pub const SOURCE_ABANDONED_THREADS: Metric = metric(
    "sightwire_source_abandoned_threads",
    Gauge,
    Unit::Count,
    "Capture threads that were given up and have not ended yet.",
)
.by(&["camera"]);
pub const CAMERA_PANICS: Metric = metric(
    "sightwire_camera_panics_total",
    Counter,
    Unit::Count,
    "Faults of the program's own that cost one camera a restart; each is in the log with its place.",
)
.by(&["camera"]);
pub const CAMERA_PICTURE: Metric = metric(
    "sightwire_camera_picture",
    Gauge,
    Unit::Count,
    "1 while the camera's picture is so (black_picture, frozen_picture, covered_lens), else 0; the worst of several.",
)
.by(&["camera", "condition"]);
pub const CAMERA_STATE: Metric =
    metric("sightwire_camera_state", Gauge, Unit::Count, "1 for the state the camera is in, 0 for the others.")
        .by(&["camera", "state"]);
pub const CAMERA_INFO: Metric = metric(
    "sightwire_camera_info",
    Gauge,
    Unit::Count,
    "1 for the model and the kind of source (file, stream, webcam, images, push, synthetic) that the camera has, 0 for those it had before.",
)
.by(&["camera", "model", "source"]);
pub const CAMERA_FPS: Metric =
    metric("sightwire_camera_fps", Gauge, Unit::Count, "Frames inferred a second, over the last five seconds.")
        .by(&["camera"]);
pub const CONTROL_COMMANDS: Metric = metric(
    "sightwire_control_commands_total",
    Counter,
    Unit::Count,
    "Answers to commands, one a target, by command and result (ok or error code).",
)
.by(&["command", "result"]);
pub const WEBRTC_ENDED: Metric = metric(
    "sightwire_webrtc_sessions_ended_total",
    Counter,
    Unit::Count,
    "WebRTC viewers that are gone, by reason (left, never_connected, lost, camera_removed, shutdown, failed).",
)
.by(&["reason"]);
pub const WEBRTC_REFUSED: Metric = metric(
    "sightwire_webrtc_sessions_refused_total",
    Counter,
    Unit::Count,
    "WebRTC viewers that were not let in, by reason (offer, full, no_address, shutting_down, no_secret).",
)
.by(&["reason"]);
pub const WEBRTC_FRAMES: Metric = metric(
    "sightwire_webrtc_frames_total",
    Counter,
    Unit::Count,
    "Frames for WebRTC viewers, one a viewer (sent; skipped: the line is too thin or an IDR is awaited; missed: the viewer's task was late).",
).by(&["outcome"]);
pub const WEBRTC_STRAY: Metric = metric(
    "sightwire_webrtc_stray_datagrams_total",
    Counter,
    Unit::Count,
    "Datagrams at the WebRTC port that belong to no viewer, or came faster than they could be read.",
);
pub const BUILD_INFO: Metric =
    metric("sightwire_build_info", Gauge, Unit::Count, "Always 1; the versions and the node's name are in the labels.")
        .by(&["version", "onnxruntime", "node"]);
pub const MODEL_WORKERS: Metric = metric(
    "sightwire_model_workers",
    Gauge,
    Unit::Count,
    "Workers of the model (its `workers`): each has a thread and a session, and works on one frame at a time.",
)
.by(&["model"]);
pub const MODEL_BUSY: Metric = metric(
    "sightwire_model_busy_seconds_total",
    Counter,
    Unit::Seconds,
    "Time the model's workers spent on frames, all together; a rate as high as sightwire_model_workers is a model that can take no more.",
)
.by(&["model"]);
pub const MODEL_INFO: Metric = metric(
    "sightwire_model_info",
    Gauge,
    Unit::Count,
    "1 for each model that is loaded: how its outputs are decoded, and the device that was taken.",
)
.by(&["model", "family", "device"]);
pub const RELOAD_SUCCESSFUL: Metric = metric(
    "sightwire_config_last_reload_successful",
    Gauge,
    Unit::Count,
    "1 when the configuration was taken the last time it was read, 0 when it was refused.",
);
pub const RELOAD_TIMESTAMP: Metric = metric(
    "sightwire_config_last_reload_success_timestamp_seconds",
    Gauge,
    Unit::Seconds,
    "When a configuration was taken last, seconds since the Unix epoch.",
);

pub const VIEWERS: Metric = metric(
    "sightwire_viewers",
    Gauge,
    Unit::Count,
    "Who watches the camera now, by way (mjpeg, still, webrtc; hls: 1 while anybody fetches its playlist).",
)
.by(&["camera", "way"]);
pub const VIDEO_FRAMES: Metric = metric(
    "sightwire_video_frames_total",
    Counter,
    Unit::Count,
    "Pictures encoded for viewers, once however many watch, by format (jpeg, h264) and outcome (encoded, skipped by the rate control, failed).",
).by(&["camera", "format", "outcome"]);
pub const VIDEO_SUPERSEDED: Metric = metric(
    "sightwire_video_superseded_total",
    Counter,
    Unit::Count,
    "Frames that a newer one replaced before they were encoded for viewers: the encoder is slower than the camera.",
)
.by(&["camera"]);
pub const VIDEO_ENCODE: Metric = metric(
    "sightwire_video_encode_seconds",
    Histogram,
    Unit::Seconds,
    "Time to encode one picture for viewers, by format.",
)
.by(&["camera", "format"]);
pub const VIDEO_BYTES: Metric =
    metric("sightwire_video_bytes_total", Counter, Unit::Bytes, "Bytes of video handed to viewers' sockets, by way.")
        .by(&["camera", "way"]);

pub const CORES: Metric = metric(
    "sightwire_cpu_cores",
    Gauge,
    Unit::Count,
    "Processor cores the program may use: the machine's, or fewer by affinity or a container's quota.",
);
pub const MEMORY_LIMIT: Metric = metric(
    "sightwire_memory_limit_bytes",
    Gauge,
    Unit::Bytes,
    "Memory the program may use: its control group's limit, or the machine's memory where that is less.",
);
pub const STATE_DIR_FREE: Metric = metric(
    "sightwire_state_dir_free_bytes",
    Gauge,
    Unit::Bytes,
    "Room that is free on the disk of state_dir, where spools and remembered switches lie.",
);
pub const STATE_DIR_SIZE: Metric =
    metric("sightwire_state_dir_size_bytes", Gauge, Unit::Bytes, "Size of the disk of state_dir.");
pub const PROCESS_CPU: Metric = metric(
    "process_cpu_seconds_total",
    Counter,
    Unit::Seconds,
    "Processor time spent by all threads of the process, user and system.",
);
pub const PROCESS_RESIDENT: Metric =
    metric("process_resident_memory_bytes", Gauge, Unit::Bytes, "Memory of the process that is in RAM.");
pub const PROCESS_VIRTUAL: Metric =
    metric("process_virtual_memory_bytes", Gauge, Unit::Bytes, "Address space of the process.");
pub const PROCESS_THREADS: Metric = metric("process_threads", Gauge, Unit::Count, "Threads of the process.");
pub const PROCESS_OPEN_FDS: Metric = metric("process_open_fds", Gauge, Unit::Count, "Open file descriptors.");
pub const PROCESS_MAX_FDS: Metric =
    metric("process_max_fds", Gauge, Unit::Count, "File descriptors that the process may have open.");
pub const PROCESS_START: Metric = metric(
    "process_start_time_seconds",
    Gauge,
    Unit::Seconds,
    "When the process began to count, seconds since the Unix epoch.",
);

pub const TRACES: Metric = metric(
    "sightwire_traces_total",
    Counter,
    Unit::Count,
    "Traced frames, by what became of their traces (exported, dropped: the queue was full, failed: the collector did not take them).",
)
.by(&["outcome"]);

pub const ALL: &[Metric] = &[
    STAGE_DURATION,
    CAPTURE_TO_PUBLISH,
    CAPTURE_TO_ACK,
    FRAMES,
    KEYFRAMES,
    DETECTIONS,
    MESSAGES,
    MESSAGES_DROPPED,
    OUTBOX_MESSAGES,
    OUTBOX_BYTES,
    SPOOL_MESSAGES,
    SPOOL_BYTES,
    SPOOL_MAX_BYTES,
    SPOOL_OK,
    BUS_CONNECTED,
    BUS_RECONNECTS,
    BUS_ROUND_TRIP,
    BUS_DELIVERING,
    BUS_CONTROL_CONNECTED,
    BUS_NOTICES,
    KEYFRAMES_SHRUNK,
    SOURCE_RECONNECTS,
    SOURCE_ABANDONED,
    SOURCE_ABANDONED_THREADS,
    CAMERA_PANICS,
    CAMERA_PICTURE,
    CAMERA_STATE,
    CAMERA_INFO,
    CAMERA_FPS,
    CONTROL_COMMANDS,
    WEBRTC_ENDED,
    WEBRTC_REFUSED,
    WEBRTC_FRAMES,
    WEBRTC_STRAY,
    BUILD_INFO,
    MODEL_INFO,
    MODEL_WORKERS,
    MODEL_BUSY,
    VIEWERS,
    VIDEO_FRAMES,
    VIDEO_SUPERSEDED,
    VIDEO_ENCODE,
    VIDEO_BYTES,
    RELOAD_SUCCESSFUL,
    RELOAD_TIMESTAMP,
    CORES,
    MEMORY_LIMIT,
    STATE_DIR_FREE,
    STATE_DIR_SIZE,
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_VIRTUAL,
    PROCESS_THREADS,
    PROCESS_OPEN_FDS,
    PROCESS_MAX_FDS,
    PROCESS_START,
    TRACES,
];

/// Histogram bounds, seconds: 0.1 ms to 10 s, none more than twice the one before, closer where latencies lie.
pub const BUCKETS: [f64; 26] = [
    0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1,
    0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 3.0, 5.0, 10.0,
];
