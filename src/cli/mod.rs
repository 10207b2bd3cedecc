//! The commands. The only room that prints results, and (with `main`) the only one that ends the process.

mod bench;
mod bus_args;
mod check;
mod ctl;
mod demo;
mod detect;
mod explain;
mod health;
mod keygen;
mod memory;
mod model_args;
mod run;
mod samples;
mod schema;
mod sequence;
mod signals;
mod status;
mod supervisor;
mod watch;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use bench::schema as bench_schema;

use crate::telemetry::{LogFormat, init_log};

/// Bad usage or bad configuration, found before anything was opened.
const BAD_USAGE: u8 = 2;
/// Failed at run time.
const FAILED: u8 = 1;

/// Turns cameras into message streams: captures, detects, tracks, and publishes to MQTT and NATS.
#[derive(Debug, Parser)]
#[command(name = "sightwire", version, max_term_width = 110, after_help = HINT, after_long_help = LEARN)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
    /// How log records are written to stderr; `RUST_LOG` sets what is logged.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value = "pretty",
        value_name = "FORM",
        help_heading = "Log",
        display_order = 99
    )]
    log_format: LogFormat,
}

const HINT: &str = "Try it, nothing needed: sightwire demo. A first configuration, and more: sightwire --help";

const LEARN: &str = "\
Try it, nothing needed:          sightwire demo
Write a file, then look it over: sightwire check -c sightwire.yaml
See what will be published:      sightwire check -c sightwire.yaml --offline --explain
Run the node:                    sightwire run -c sightwire.yaml
See what arrives:                sightwire watch --bus mqtt://localhost:1883
Measure this machine:            sightwire bench --model bundled:shapes --source synthetic:shapes
Find objects in a picture:       sightwire detect --model FILE photo.jpg

The smallest useful file:

  models:
    shapes: { path: bundled:shapes }        # or an ONNX file: YOLOX, YOLOv8 to YOLO12
  cameras:
    front-door: { source: synthetic:shapes, model: shapes }

A source is also \"rtsp://user:${CAM_PASSWORD}@camera/stream1\", a video file, webcam:0, or images:FOLDER.
Every key there is:              sightwire schema config

Stop every camera, and see who did: sightwire ctl stop --all
Stop one from anywhere:          mosquitto_pub -t sightwire/cameras/front-door/control -m stop

Exit codes: 0 done, 1 failed at run time, 2 bad usage or configuration.";

const RUN: &str = "\
Examples:
  sightwire run -c sightwire.yaml
  sightwire run --until-done --summary json     files in, one JSON object of figures out
  RUST_LOG=debug sightwire run --log-format json";

const DEMO: &str = "\
Examples:
  sightwire demo                                open the address it prints; Ctrl-C ends
  sightwire demo --cameras 8 --seconds 30";

const CHECK: &str = "\
Examples:
  sightwire check                               ./sightwire.yaml, and everything it names is opened
  sightwire check --offline                     only the file: in CI, or away from the cameras
  sightwire check --offline --explain           what will be published where

Exit codes: 0 all works, 1 something does not answer (the table says which), 2 the file is wrong.";

const WATCH: &str = "\
Examples:
  sightwire watch                               a broker on this machine
  sightwire watch --bus nats://localhost:4222 --camera front-door
  SIGHTWIRE_BUS=mqtts://user:password@broker sightwire watch --json
  sightwire watch --seconds 60                  one minute, and whether anything was lost

At its end it says what was lost, came twice, out of order or late. Exit codes: 0 nothing was lost, 1 something was, or the
bus could not be reached.";

const CTL: &str = "\
Examples:
  sightwire ctl stop --all                      and who did not is named
  sightwire ctl set confidence=0.6 labels=person,car publish.when=on_change --camera door
  sightwire ctl status --group outdoor --json | jq -r '.rows[] | [.target, .state.actual] | @tsv'
  SIGHTWIRE_BUS=nats://localhost:4222 sightwire ctl restart --node garage
  sightwire ctl start --all --operator ana --key-file ana.key     signed (sightwire keygen)

Everyone the command addresses is to answer with what was applied. On MQTT they are known beforehand by
the states that nodes and cameras leave on the broker, so that one which is away is named. NATS keeps no
states: there it is whoever answers `status` a moment before, and whom you name with --expect.

Exit codes: 0 every target answered ok, 1 one did not, 2 bad usage, or nobody is called so.";

const HEALTH: &str = "\
Examples:
  sightwire health                              the process answers: a reason to restart it, if not
  sightwire health --ready --token-file token   buses are connected, cameras run; what is not is named

Exit codes: 0 it does, 1 it does not, or nobody answers, 2 bad usage.";

const KEYGEN: &str = "\
Examples:
  sightwire keygen ana.key                      a pair of ed25519 keys; the public half is printed
  sightwire keygen --hmac desk.key              one secret, for both sides
  sightwire ctl start --all --operator ana --key-file ana.key";

const DETECT: &str = "\
Examples:
  sightwire detect --model yolox_nano.onnx photo.jpg
  sightwire detect --model yolo11n.onnx --confidence 0.25 --overlay boxes holiday/ > holiday.jsonl
  sightwire detect --model bundled:shapes 'stills/*.png' | jq -c '[.camera, .detections[].label]'
  curl -s http://camera/snapshot.jpg | sightwire detect --model yolox_nano.onnx -

Each line is a detections payload (`sightwire schema detections`): `camera` is the file's name, `file`
its path, `timestamp` the file's date, `frame.id` its place among the pictures that were named, `seq`
the number of the line. Boxes are fractions of the picture as it is shown, turned as the EXIF
orientation of a JPEG, PNG or TIFF says. What cannot be read is an error on stderr; the rest goes on.

Exit codes: 0 all were read, 1 some were not, 2 bad usage, model or labels (no picture was read).";

const BENCH: &str = "\
Examples:
  sightwire bench --model bundled:shapes --source synthetic:shapes        needs no file
  sightwire bench --model yolox_nano.onnx --labels coco --source street.mp4 --frames 500
  sightwire bench --model yolo11n.onnx --source rtsp://camera/stream --frames 300 --fps 10 --json

Every stage of a node is run on each frame, one after the other in one thread a worker, and the
model once more by itself on the same picture, before or after in turn: the bare ONNX Runtime time
of the same session under the same load. Files are read as fast as they go.

How many cameras fit is an estimate from processor time. A camera costs the decoding of every
frame its source sends, and all other stages for the frames it is to process (--fps; max_fps in
the configuration). 15 % of the cores are kept back for keyframes, brokers and the rest of the
machine. On a GPU or another device the model's own time counts too, one run after the other.
Left out are memory, the network, and that on a machine in full use every frame waits longer.

Exit codes: 0 done (also where the source ended early, which is said), 1 failed or interrupted
(the figures so far are printed all the same), 2 bad usage or model.";

const SCHEMA: &str = "\
Examples:
  sightwire schema config > sightwire.schema.json
  sightwire schema detections";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every camera until SIGINT or SIGTERM.
    #[command(after_help = RUN)]
    Run(run::RunArgs),
    /// Run synthetic cameras against an embedded broker: needs no camera, no model, no configuration.
    #[command(after_help = DEMO)]
    Demo(demo::DemoArgs),
    /// Measure what a frame costs here, stage by stage beside the bare model, and how many cameras fit.
    #[command(after_help = BENCH)]
    Bench(bench::BenchArgs),
    /// Look a configuration over: report all problems at once, then really open each source, model and bus.
    #[command(after_help = CHECK)]
    Check(check::CheckArgs),
    /// Find objects in still pictures: one line of JSON each, and pictures with the boxes drawn in if wanted.
    #[command(after_help = DETECT)]
    Detect(detect::DetectArgs),
    /// Subscribe to a bus and show what arrives: time, camera, labels, latency, gaps in `seq`.
    #[command(after_help = WATCH)]
    Watch(watch::WatchArgs),
    /// Command cameras and nodes over a bus, and call the roll of those who are to answer.
    #[command(after_help = CTL)]
    Ctl(ctl::CtlArgs),
    /// Ask a node on this machine whether it lives, or is ready: for container engines and scripts.
    #[command(after_help = HEALTH)]
    Health(health::HealthArgs),
    /// Make a key for signed commands, and print what the configuration is to say of it.
    #[command(after_help = KEYGEN)]
    Keygen(keygen::KeygenArgs),
    /// Print the JSON Schema of the configuration or of a payload.
    #[command(after_help = SCHEMA)]
    Schema(schema::SchemaArgs),
}

#[derive(Debug, clap::Args)]
struct ConfigArg {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "sightwire.yaml", env = "SIGHTWIRE_CONFIG")]
    config: PathBuf,
}

/// Parses the command line and carries it out.
pub fn main() -> ExitCode {
    let args = Args::parse();
    if matches!(args.command, Command::Run(_) | Command::Check(_) | Command::Demo(_) | Command::Bench(_)) {
        // Before any thread: it starts the program anew, once.
        let _as_it_is = memory::settle();
    }
    // The embedded broker tells its own story at info; ours is enough.
    init_log(args.log_format, "info,mqtt5=error,rumqttc=error,async_nats=off");
    crate::telemetry::log_panics();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return fail(&anyhow::anyhow!("cannot start the runtime: {e}")),
    };
    let code = runtime.block_on(dispatch(args.command));
    // A thread that is stuck in native code must not hold the exit up.
    runtime.shutdown_background();
    code
}

async fn dispatch(command: Command) -> ExitCode {
    let outcome = match command {
        Command::Run(args) => run::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Detect(args) => detect::run(args).await,
        Command::Watch(args) => watch::run(args).await,
        Command::Ctl(args) => ctl::run(args).await,
        Command::Health(args) => health::run(args).await,
        Command::Keygen(args) => keygen::run(&args),
        Command::Schema(args) => schema::run(&args),
    };
    outcome.unwrap_or_else(|error| fail(&error))
}

/// Prints the whole chain of an error once.
fn fail(error: &anyhow::Error) -> ExitCode {
    tell(&format!("error: {error:#}"));
    let usage = error.is::<crate::config::ConfigError>() || error.is::<BadUsage>();
    ExitCode::from(if usage { BAD_USAGE } else { FAILED })
}

/// The user asked for something that makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadUsage(String);

/// A line of result. A closed pipe ends the program quietly, as it does for `head`.
fn say(line: &str) {
    use std::io::Write;
    if writeln!(std::io::stdout().lock(), "{line}").is_err() {
        std::process::exit(0);
    }
}

fn tell(line: &str) {
    use std::io::Write;
    let _closed = writeln!(std::io::stderr().lock(), "{line}");
}
