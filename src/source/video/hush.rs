//! FFmpeg's own messages: off, because they repeat addresses with their passwords (`[hls] Error when loading first
//! segment 'http://user:password@…'`) and nothing of what they say is missing in our errors.

/// Read by OpenCV when it first uses FFmpeg: the level of FFmpeg's messages; -8 is none.
const LEVEL: &str = "OPENCV_FFMPEG_LOGLEVEL";
const NONE: &str = "-8";

/// Starts the program again, in the same process and with the same arguments, with FFmpeg's messages off. It returns
/// only when the environment names a level already (the second time, or because a person wants to read them), or when
/// the start failed. To be called first in `main`, before there are threads.
///
/// The detour is needed because the level can only be given by the environment, and a program's own environment can
/// only be changed by `unsafe` code.
///
/// # Errors
/// When the program could not be started again; FFmpeg then speaks on stderr.
#[cfg(unix)]
pub fn silence_ffmpeg() -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;

    if std::env::var_os(LEVEL).is_some() {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    Err(again.args(arguments).env(LEVEL, NONE).exec())
}
