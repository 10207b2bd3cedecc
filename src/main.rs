//! The program: see `sightwire --help`, and `src/cli/` for the commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    // One crypto provider for every TLS user. A second installation fails by design, and there is none.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    sightwire::cli::main()
}
