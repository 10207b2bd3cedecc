//! What FFmpeg and the C library can only be told through the environment.
//!
//! FFmpeg's own messages: off, because they repeat addresses with their passwords (`[hls] Error when loading first
//! segment 'http://user:password@…'`) and nothing of what they say is missing in our errors.
//!
//! How streams are opened: RTSP over TCP and nothing else (OpenCV would fall back to UDP, where a dead camera is only silent
//! and lost packets are grey pictures), and without reading twenty frames first to guess a frame rate that nobody asks
//! for: OpenCV opens one stream at a time, and a recorder's cameras come back all at once.
//!
//! How memory is handed out: glibc gives every few threads an arena of their own, and what one gave back no other uses. A
//! camera has several threads, each with pictures of megabytes. Two arenas are enough, for nothing is allocated a frame.

/// Read by OpenCV when it first uses FFmpeg: the level of FFmpeg's messages; -8 is none.
const LEVEL: &str = "OPENCV_FFMPEG_LOGLEVEL";
const NONE: &str = "-8";

/// Read by OpenCV whenever it opens: FFmpeg's options.
const OPTIONS: &str = "OPENCV_FFMPEG_CAPTURE_OPTIONS";
const TCP_AND_SOON: &str = "rtsp_transport;tcp|fpsprobesize;0";

/// Read by glibc when the program starts: how many arenas.
const ARENAS: &str = "MALLOC_ARENA_MAX";
const TWO: &str = "2";

/// Starts the program again, in the same process and with the same arguments, with what is missing of it. It returns
/// only when the environment names it all already (the second time, or because a person wants it otherwise), or when
/// the start failed. To be called first in `main`, before there are threads.
///
/// The detour is needed because a program's own environment can only be changed by `unsafe` code.
///
/// # Errors
/// When the program could not be started again; FFmpeg then speaks on stderr.
#[cfg(unix)]
pub fn instruct_libraries() -> std::io::Result<()> {
    use std::os::unix::process::CommandExt as _;

    let missing = [(LEVEL, NONE), (OPTIONS, TCP_AND_SOON), (ARENAS, TWO)].map(|(name, value)| {
        let missing = std::env::var_os(name).is_none();
        missing.then_some((name, value))
    });
    if missing.iter().all(Option::is_none) {
        return Ok(());
    }
    let mut arguments = std::env::args_os();
    let mut again = std::process::Command::new(std::env::current_exe()?);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    Err(again.args(arguments).envs(missing.into_iter().flatten()).exec())
}
