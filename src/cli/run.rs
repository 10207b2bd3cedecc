//! `sightwire run`

use std::process::ExitCode;

use tokio::signal::unix::Signal;

use super::{ConfigArg, FAILED, say, signals, status, supervisor};
use crate::app::{AppError, Node, Summary};
use crate::config::{self, Loaded};
use crate::envelope::ActualState;
use crate::telemetry::Telemetry;

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Exit when every file and slideshow has ended and all that was accepted is delivered; then print a summary.
    #[arg(long)]
    until_done: bool,
    /// The summary's form.
    #[arg(long, value_enum, default_value = "table", requires = "until_done", value_name = "FORM")]
    summary: SummaryFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum SummaryFormat {
    /// One row per camera.
    Table,
    /// One JSON object.
    Json,
}

pub async fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    // First of all: a SIGHUP that comes before there is a node must not end the process.
    let hangups = signals::hangups()?;
    let loaded = config::load(Some(&args.config.config))?;
    for warning in &loaded.warnings {
        tracing::warn!("{}", warning.in_file(&loaded.file));
    }
    if args.until_done {
        AppError::unless_something_ends(&loaded.config).map_err(|error| super::BadUsage(error.to_string()))?;
    }
    run_node(loaded, hangups, args.until_done.then_some(args.summary)).await
}

async fn run_node(config: Loaded, hangups: Signal, until_done: Option<SummaryFormat>) -> anyhow::Result<ExitCode> {
    let stop = signals::stop_token()?;
    let node = tokio::select! {
        node = Node::start(config, Telemetry::install()?) => node?,
        () = stop.cancelled() => return Ok(ExitCode::SUCCESS),
    };
    tracing::info!(node = %node.fleet.node, boot_id = %node.fleet.boot_id, page = %format_args!("http://{}/", node.http), "running");
    let fleet = node.fleet.clone();
    signals::on_hangup(hangups, move || {
        let fleet = fleet.clone();
        async move {
            fleet.read_again().await;
        }
    });
    supervisor::ready();
    let line = status::follow(node.fleet.clone());
    let Some(format) = until_done else {
        tokio::select! {
            () = stop.cancelled() => {}
            () = node.fleet.ending.cancelled() => {}
        }
        line.end();
        supervisor::stopping();
        node.shutdown().await;
        return Ok(ExitCode::SUCCESS);
    };
    let done = tokio::select! {
        () = node.until_done() => true,
        () = stop.cancelled() => false,
        () = node.fleet.ending.cancelled() => false,
    };
    line.end();
    supervisor::stopping();
    let summary = node.shutdown().await;
    let code = report(&summary, format)?;
    if done {
        return Ok(code);
    }
    tracing::warn!("interrupted before everything was done");
    Ok(ExitCode::from(FAILED))
}

fn report(summary: &Summary, format: SummaryFormat) -> anyhow::Result<ExitCode> {
    match format {
        SummaryFormat::Table => say(summary.to_string().trim_end()),
        SummaryFormat::Json => say(&serde_json::to_string(summary)?),
    }
    let failed = summary.cameras.iter().any(|camera| camera.state == ActualState::Failed);
    Ok(if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}
