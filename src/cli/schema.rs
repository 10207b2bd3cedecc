//! `sightwire schema`

use std::process::ExitCode;

use super::{BadUsage, say};
use crate::{asyncapi, config, envelope, live};

#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// What to describe: config, detections, minimal, event, state, node-state, control, reply, keyframe-meta, audit, roll-call, live, bench;
    /// asyncapi: every topic with its payloads, as an AsyncAPI document.
    name: String,
}

pub fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let schema = match args.name.as_str() {
        "config" => Some(config::schema()),
        "asyncapi" => Some(asyncapi::document()),
        "live" => Some(live::schema()),
        "bench" => Some(super::bench_schema()),
        name => envelope::schema(name),
    };
    let Some(schema) = schema else {
        let known = envelope::SCHEMAS.join(", ");
        return Err(BadUsage(format!(
            "no schema is called '{}'; known: asyncapi, config, live, bench, {known}",
            args.name
        ))
        .into());
    };
    say(&serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}
