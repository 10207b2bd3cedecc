//! The program: see `sightwire --help`, and `src/cli/` for the commands.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before any thread: it may start the program anew, once, so that FFmpeg repeats no URL with its password.
    let _as_it_is = sightwire::source::silence_ffmpeg();
    // One crypto provider for every TLS user. A second installation fails by design, and there is none.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    sightwire::cli::main()
}
