//! `sightwire schema`

use std::process::ExitCode;

use super::{BadUsage, say};
use crate::schemas;

#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// What to describe: config, detections, minimal, event, state, node-state, control, reply, keyframe-meta.
    name: String,
}

pub fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let Some(schema) = schemas::get(&args.name) else {
        let known = schemas::NAMES.join(", ");
        return Err(BadUsage(format!("no schema is called '{}'; known: {known}", args.name)).into());
    };
    say(&serde_json::to_string_pretty(&schema)?);
    Ok(ExitCode::SUCCESS)
}
