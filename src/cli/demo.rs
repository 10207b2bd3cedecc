//! `sightwire demo`: the whole path with nothing to install but the program.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use super::{say, signals, status, watch};
use crate::app::{AppError, Node};
use crate::bus::{BusConfig, BusesConfig, SpoolConfig, tail};
use crate::config::{Config, Loaded};
use crate::control::ControlConfig;
use crate::domain::Name;
use crate::frigate::FrigateConfig;
use crate::http::{HttpConfig, HttpError};
use crate::inference::ModelConfig;
use crate::pipeline::{CameraConfig, KeyframeConfig};
use crate::source::SourceSpec;
use crate::telemetry::{Telemetry, TelemetryConfig};

#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Synthetic cameras to run.
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    cameras: u16,
    /// End after so many seconds; 0 = run until Ctrl-C.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seconds: u64,
}

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_token()?;
    let state = std::env::temp_dir().join(format!("sightwire-demo-{}", std::process::id()));
    let loaded = |listen| -> anyhow::Result<Loaded> {
        Ok(Loaded {
            file: "demo".into(),
            node: "demo".parse()?,
            state_dir: state.clone(),
            config: configuration(args.cameras, listen)?,
            warnings: Vec::new(),
        })
    };
    let telemetry = Telemetry::install()?;
    let node = match Node::start(loaded(HttpConfig::default().listen)?, telemetry.clone()).await {
        // A demo runs beside a node, or beside another demo.
        Err(AppError::Http(HttpError::Listen { .. })) => Node::start(loaded(ANY_PORT)?, telemetry).await?,
        started => started?,
    };
    let broker = node.embedded.map_or_else(String::new, |addr| addr.port().to_string());
    say(&format!("live page:  http://{}/", node.http));
    say(&format!("subscribe:  mosquitto_sub -p {broker} -t 'sightwire/cameras/+/detections' -v"));
    say(&format!("stop one:   mosquitto_pub -p {broker} -t sightwire/cameras/demo-1/control -m stop"));
    say("what a subscriber receives, one message a camera and second:");
    let line = status::follow(node.fleet.clone());
    let (sender, received) = tokio::sync::mpsc::channel(64);
    let config = BusConfig::from_url(&format!("mqtt://127.0.0.1:{broker}"), "sightwire")?;
    let printing = tokio::spawn(watch::print_sparsely(received, Duration::from_secs(1)));
    let seconds = if args.seconds == 0 { u64::MAX / 1000 } else { args.seconds };
    tokio::select! {
        () = stop.cancelled() => {}
        () = node.fleet.ending.cancelled() => {}
        () = tokio::time::sleep(Duration::from_secs(seconds)) => {}
        ended = tail(&config, None, sender) => ended?,
    }
    printing.abort();
    line.end();
    let summary = node.shutdown().await;
    say(summary.to_string().trim_end());
    // The switches of a demo are not remembered.
    let _absent = std::fs::remove_dir_all(state);
    Ok(ExitCode::SUCCESS)
}

fn configuration(cameras: u16, listen: SocketAddr) -> anyhow::Result<Config> {
    let model: Name = "shapes".parse()?;
    let camera = |n: u16| -> anyhow::Result<(Name, CameraConfig)> {
        let source = SourceSpec::try_from(format!("synthetic:shapes?width=640&height=480&fps=15&seed={n}"))
            .map_err(anyhow::Error::msg)?;
        let config = CameraConfig {
            max_fps: 0.0,
            keyframes: Some(KeyframeConfig::default()),
            ..CameraConfig::new(source, model.clone())
        };
        Ok((format!("demo-{n}").parse()?, config))
    };
    Ok(Config {
        node: None,
        state_dir: None,
        buses: BusesConfig::default(),
        models: BTreeMap::from([(model.clone(), ModelConfig::new("bundled:shapes"))]),
        cameras: (1..=cameras).map(camera).collect::<anyhow::Result<_>>()?,
        spool: SpoolConfig::default(),
        control: ControlConfig::default(),
        http: HttpConfig { listen, ..HttpConfig::default() },
        homeassistant: None,
        frigate: FrigateConfig::default(),
        telemetry: TelemetryConfig::default(),
    })
}
