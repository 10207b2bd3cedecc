//! `sightwire health`: whether a node lives, by its own word; the exit code is for container engines.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::{FAILED, say, tell};
use crate::domain::Span;
use crate::http::health;

#[derive(Debug, clap::Args)]
pub struct HealthArgs {
    /// The node's address, as `http.listen` has it.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8720", env = "SIGHTWIRE_URL")]
    url: String,
    /// Ask whether buses are connected and cameras run, not only whether the process answers.
    #[arg(long)]
    ready: bool,
    /// The token's file: with it the node says what is not ready.
    #[arg(long, value_name = "FILE", env = "SIGHTWIRE_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// How long to wait for an answer.
    #[arg(long, value_name = "T", default_value = "5s")]
    timeout: Span,
}

pub async fn run(args: HealthArgs) -> anyhow::Result<ExitCode> {
    let token = args.token_file.as_ref().map(|path| {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}: not read", path.display()))?;
        anyhow::Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    });
    let token = token.transpose()?;
    let health = health(&args.url, args.ready, token.as_deref(), args.timeout.0).await?;
    if health.well {
        say(&health.said);
        return Ok(ExitCode::SUCCESS);
    }
    tell(&health.said);
    Ok(ExitCode::from(FAILED))
}
