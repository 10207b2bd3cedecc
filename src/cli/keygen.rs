//! `sightwire keygen`

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;

use super::{say, tell};
use crate::control::auth::{SigningKey, generate};
use crate::domain::Name;

#[derive(Debug, clap::Args)]
pub struct KeygenArgs {
    /// The file to write, for its owner only. One that is there is left as it is.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The operator's name in the configuration; default: the file's name.
    #[arg(long, value_name = "NAME")]
    operator: Option<Name>,
    /// A secret that nodes and operator share (HMAC-SHA256), instead of a pair of ed25519 keys.
    #[arg(long)]
    hmac: bool,
}

pub fn run(args: &KeygenArgs) -> anyhow::Result<ExitCode> {
    let text = generate(args.hmac).context("this system gives no random numbers")?;
    let shown = args.file.display();
    // Never over a key that somebody uses.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.file)
        .with_context(|| format!("{shown}: the key cannot be written; name a file that is not there yet"))?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(|| format!("{shown}: not written"))?;
    let stem = args.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let operator =
        args.operator.clone().or_else(|| Name::like(stem)).map_or_else(|| "operator".into(), |name| name.to_string());
    let public = SigningKey::read(&text).ok().and_then(|key| key.public_key());
    let key = public.map_or_else(|| format!("hmac_key_file: {shown}"), |public| format!("public_key: {public}"));
    tell(&format!("{shown} holds the key; whoever has it commands. For the configuration of each node:"));
    say(&format!("control:\n  operators:\n    {operator}: {{ {key} }}"));
    Ok(ExitCode::SUCCESS)
}
