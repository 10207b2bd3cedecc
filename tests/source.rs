//! Sources against real files (made by ffmpeg), real pictures and a real RTSP camera.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

#[path = "common/rtsp.rs"]
mod rtsp;
#[path = "common/rtsp_proxy.rs"]
mod rtsp_proxy;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rtsp::Camera;
use rtsp_proxy::Proxy;
use sightwire::domain::{Frame, Span, TimestampSource};
use sightwire::pipeline::{PictureCheck, Watch};
use sightwire::source::{Cancel, Disposition, FrameSource, OpenOptions, Pace, Read, SourceError, SourceSpec, open};

/// Clips are made once and kept; test processes side by side may make the same one.
fn clip(name: &str) -> PathBuf {
    let path = folder().join(name);
    if !path.exists() {
        let more: &[&str] = match name {
            "whole.mp4" => &["-preset", "ultrafast", "-movflags", "+faststart"],
            "b-frames.mp4" => &["-preset", "fast", "-bf", "3"],
            _ => &["-preset", "ultrafast"],
        };
        let making = folder().join(format!("{:x}-{name}", fastrand::u64(..)));
        let status = Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=320x240:rate=15:duration=2"])
            .args(["-c:v", "libx264", "-g", "15"])
            .args(more)
            .arg(&making)
            .status()
            .expect("ffmpeg");
        assert!(status.success());
        std::fs::rename(making, &path).unwrap();
    }
    path
}

fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clips");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The first so many percent of a clip's bytes, in a file of its own.
fn cut(name: &str, percent: usize) -> tempfile::TempPath {
    let bytes = std::fs::read(clip(name)).unwrap();
    let mut file = tempfile::Builder::new().suffix(name).tempfile().unwrap();
    file.write_all(&bytes[..bytes.len() * percent / 100]).unwrap();
    file.into_temp_path()
}

fn asap() -> OpenOptions {
    OpenOptions { pace: Pace::Asap, ..OpenOptions::default() }
}

fn source(text: &str, options: &OpenOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    open(&text.parse::<SourceSpec>().unwrap(), options)
}

fn file(path: &Path, options: &OpenOptions) -> Result<Box<dyn FrameSource>, SourceError> {
    source(path.to_str().unwrap(), options)
}

/// Reads to the end or an error: frames, and how it ended.
fn drain(source: &mut dyn FrameSource) -> (Vec<Frame>, Result<(), SourceError>) {
    let mut frames = Vec::new();
    loop {
        let mut frame = Frame::empty();
        match source.read(&mut frame) {
            Ok(Read::Frame) => frames.push(frame),
            Ok(Read::End) => return (frames, Ok(())),
            Err(e) => return (frames, Err(e)),
        }
    }
}

fn error_of(opened: Result<Box<dyn FrameSource>, SourceError>) -> SourceError {
    match opened {
        Ok(mut source) => drain(source.as_mut()).1.expect_err("an error"),
        Err(e) => e,
    }
}

#[test]
fn a_file_played_as_fast_as_possible_gives_every_frame_on_its_own_timeline() {
    for name in ["whole.mp4", "index-last.mp4", "b-frames.mp4", "whole.mkv", "whole.ts", "whole.avi"] {
        let mut source = file(&clip(name), &asap()).unwrap();
        let (frames, end) = drain(source.as_mut());
        end.unwrap();
        assert_eq!(frames.len(), 30, "{name}");
        assert!(frames.iter().all(|f| (f.width, f.height) == (320, 240) && f.is_whole()));
        assert!(frames.iter().all(|f| f.timestamp_source == TimestampSource::File && !f.decode.is_zero()));
        let step = Duration::from_micros(1_000_000 / 15);
        for pair in frames.windows(2) {
            let gap = pair[1].captured_at.since(pair[0].captured_at);
            assert!(gap.abs_diff(step) < Duration::from_millis(3), "{name}: {gap:?}");
            assert!(pair[1].captured_instant >= pair[0].captured_instant);
        }
        let mut spare = Vec::new();
        let bright = frames[0].as_bgr(&mut spare).iter().filter(|&&byte| byte > 100).count();
        assert!(bright > 10_000, "{name}: the picture is dark");
        assert_eq!(source.read(&mut Frame::empty()).unwrap(), Read::End, "{name}: the end stays the end");
    }
}

#[test]
fn a_video_that_is_to_be_shown_turned_is_turned() {
    let plain = clip("whole.mp4");
    let run = |command: &mut Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    for (degrees, size) in [("0", (320, 240)), ("90", (240, 320)), ("180", (320, 240)), ("270", (240, 320))] {
        let turned = folder().join(format!("turned-{degrees}.mp4"));
        let rotate = format!("rotate={degrees}");
        run(Command::new("ffmpeg")
            .args(["-v", "error", "-y", "-i"])
            .arg(&plain)
            .args(["-c", "copy", "-metadata:s:v", &rotate])
            .arg(&turned));
        let mut frame = Frame::empty();
        file(&turned, &asap()).unwrap().read(&mut frame).unwrap();
        assert_eq!((frame.width, frame.height), size, "{degrees}");
        assert_eq!(frame.yuv.is_some(), degrees == "0", "what is not turned is not touched");
        frame.make_bgr();
        // FFmpeg's own player turns it too.
        let shown = run(Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(&turned).args([
            "-frames:v",
            "1",
            "-pix_fmt",
            "bgr24",
            "-f",
            "rawvideo",
            "-",
        ]));
        assert_eq!(shown.len(), frame.bgr.len());
        // Turned after the colours are converted, or before: chroma differs at edges.
        let apart = shown.iter().zip(&frame.bgr).filter(|(a, b)| a.abs_diff(**b) > 24).count();
        assert!(apart * 50 < shown.len(), "{degrees}: {apart} of {} bytes differ", shown.len());
    }
}

/// Blue, green and red of a picture's middle.
fn middle(frame: &Frame) -> [u8; 3] {
    let mut spare = Vec::new();
    let at = 3 * (frame.height / 2 * frame.width + frame.width / 2) as usize;
    frame.as_bgr(&mut spare)[at..at + 3].try_into().unwrap()
}

#[test]
fn colours_are_right_whatever_a_video_means_by_its_numbers() {
    // How FFmpeg is told to write it, and whether the decoder's planes go on as they are.
    let ways: [(&str, &[&str], bool); 6] = [
        ("nothing-said.mp4", &["-pix_fmt", "yuv420p"], true),
        ("hd.mp4", &["-vf", "scale=out_color_matrix=bt709", "-pix_fmt", "yuv420p", "-colorspace", "bt709"], true),
        ("uhd.mp4", &["-vf", "scale=out_color_matrix=bt2020", "-pix_fmt", "yuv420p", "-colorspace", "bt2020nc"], true),
        ("full.mp4", &["-vf", "scale=out_range=pc", "-pix_fmt", "yuvj420p"], true),
        ("all-chroma.mp4", &["-pix_fmt", "yuv444p"], false),
        ("ten-bits.mkv", &["-pix_fmt", "yuv420p10le"], false),
    ];
    for (name, how, planes) in ways {
        for (colour, wanted) in [("0xE03020", [0x20, 0x30, 0xe0]), ("0x20C040", [0x40, 0xc0, 0x20])] {
            let path = folder().join(format!("{colour}-{name}"));
            let paint = format!("color={colour}:size=98x50:rate=5:duration=0.4");
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", &paint]).args(how);
            let made = ffmpeg.args(["-c:v", "libx264", "-qp", "4"]).arg(&path).status().unwrap();
            assert!(made.success(), "{name}");
            let mut frame = Frame::empty();
            file(&path, &asap()).unwrap().read(&mut frame).unwrap();
            assert_eq!((frame.width, frame.height, frame.yuv.is_some()), (98, 50, planes), "{name}");
            let got = middle(&frame);
            assert!(got.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 6), "{name}: {got:02x?} for {wanted:02x?}");
        }
    }
}

#[test]
fn a_file_played_in_real_time_keeps_to_its_timestamps() {
    let began = Instant::now();
    let (frames, end) = drain(file(&clip("whole.mp4"), &OpenOptions::default()).unwrap().as_mut());
    end.unwrap();
    assert_eq!(frames.len(), 30);
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    for frame in &frames {
        assert!(frame.ready_at >= frame.captured_instant, "no frame comes before its time");
    }
}

#[test]
fn a_loop_goes_on_where_the_last_round_ended() {
    let mut source = file(&clip("whole.mp4"), &OpenOptions { looping: true, ..asap() }).unwrap();
    let mut last = None;
    let mut first = None;
    let mut frame = Frame::empty();
    for _ in 0..75 {
        assert_eq!(source.read(&mut frame).unwrap(), Read::Frame);
        if let Some(last) = last {
            assert!(frame.captured_at > last);
        }
        first.get_or_insert(frame.captured_at);
        last = Some(frame.captured_at);
    }
    let span = last.unwrap().since(first.unwrap()).as_secs_f64();
    assert!((span - 74.0 / 15.0).abs() < 0.1, "{span}");
}

#[test]
fn cancelling_ends_a_wait_at_once() {
    let cancel = Cancel::default();
    let options = OpenOptions { cancel: cancel.clone(), ..OpenOptions::default() };
    let pictures = tempfile::tempdir().unwrap();
    for name in ["a.png", "b.png"] {
        picture(&pictures.path().join(name), "16x16");
    }
    let mut source = source(&format!("images:{}?every=1h", pictures.path().display()), &options).unwrap();
    let reader = std::thread::spawn(move || drain(source.as_mut()));
    std::thread::sleep(Duration::from_millis(100));
    cancel.cancel();
    let (_, end) = reader.join().unwrap();
    assert!(matches!(end, Err(SourceError::Cancelled)));
}

#[test]
fn a_video_cut_in_the_middle_gives_its_frames_and_then_says_so() {
    for name in ["whole.mp4", "whole.mkv", "whole.avi"] {
        let path = cut(name, 60);
        let mut source = file(&path, &asap()).unwrap();
        let (frames, end) = drain(source.as_mut());
        let error = end.unwrap_err();
        assert!((3..28).contains(&frames.len()), "{name}: {}", frames.len());
        let SourceError::Truncated { after, .. } = &error else { panic!("{name}: {error}") };
        assert_eq!(*after, frames.len() as u64);
        assert_eq!(error.disposition(), Disposition::Fatal);
        assert!(error.to_string().contains("cut short"), "{error}");
    }
}

#[test]
fn a_video_whose_index_is_cut_off_is_called_truncated() {
    let path = cut("index-last.mp4", 60);
    let error = error_of(file(&path, &asap()));
    assert!(matches!(error, SourceError::Truncated { after: 0, .. }), "{error}");
}

#[test]
fn what_is_no_video_is_refused_in_clear_words() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let pipe = folder.path().join("pipe.mp4");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let noise: Vec<u8> = (0..50_000_u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
    let cases = [
        (folder.path().join("absent.mp4"), "source_not_found", "not found"),
        (folder.path().to_owned(), "source_open_failed", "images:"),
        (pipe, "source_open_failed", "a pipe"),
        (write("empty.mp4", b""), "source_undecodable", "empty"),
        (write("notes.txt", b"to do: buy milk\n"), "source_undecodable", "text file"),
        (write("notes.mp4", "Grüße\n".repeat(2000).as_bytes()), "source_undecodable", "text file"),
        (write("noise.mp4", &noise), "source_undecodable", "not a video"),
    ];
    for (path, code, words) in cases {
        let error = error_of(file(&path, &asap()));
        assert!(error.code() == code && error.to_string().contains(words), "{path:?}: {error}");
    }
}

fn picture(path: &Path, size: &str) {
    let status = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", &format!("testsrc2=size={size}:duration=1"), "-frames:v", "1"])
        .arg(path)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_slideshow_shows_its_pictures_in_natural_order_and_passes_over_bad_ones() {
    let folder = tempfile::tempdir().unwrap();
    for (name, size) in [("p10.png", "30x20"), ("p2.jpg", "20x20"), ("p1.bmp", "10x20")] {
        picture(&folder.path().join(name), size);
    }
    std::fs::write(folder.path().join("p3.jpg"), b"not a picture").unwrap();
    std::fs::write(folder.path().join("readme.md"), b"not meant").unwrap();
    let text = format!("images:{}", folder.path().display());
    let (frames, end) = drain(source(&text, &asap()).unwrap().as_mut());
    end.unwrap();
    assert_eq!(frames.iter().map(|f| f.width).collect::<Vec<_>>(), [10, 20, 30]);
    assert!(frames.iter().all(|f| f.timestamp_source == TimestampSource::Host));

    let glob = format!("images:{}/p*.[jp]*g?every=100ms", folder.path().display());
    let began = Instant::now();
    let mut slides = source(&glob, &OpenOptions { looping: true, ..OpenOptions::default() }).unwrap();
    let mut frame = Frame::empty();
    let widths: Vec<u32> = (0..5).map(|_| slides.read(&mut frame).map(|_| frame.width).unwrap()).collect();
    assert_eq!(widths, [20, 30, 20, 30, 20]);
    assert!(began.elapsed() >= Duration::from_millis(400));
}

#[test]
fn a_slideshow_without_one_picture_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("images:{}", folder.path().display());
    let error = error_of(source(&text, &asap()));
    assert!(error.to_string().contains("no jpg"), "{error}");
    std::fs::write(folder.path().join("a.png"), b"\x89PNG broken").unwrap();
    for looping in [false, true] {
        let error = error_of(source(&text, &OpenOptions { looping, ..asap() }));
        assert!(matches!(error, SourceError::Undecodable { .. }), "{error}");
    }
    assert!(matches!(error_of(source("images:/no/such/folder", &asap())), SourceError::NotFound { .. }));
    assert!(matches!(error_of(source("images:/no/such/*.jpg", &asap())), SourceError::Open { .. }));
}

#[test]
fn an_absent_webcam_is_named() {
    let error = error_of(source("webcam:77", &asap()));
    assert!(error.to_string().contains("no /dev/video77"), "{error}");
}

fn live(open_timeout: u64, read_timeout: u64) -> OpenOptions {
    OpenOptions {
        open_timeout: Duration::from_secs(open_timeout),
        read_timeout: Duration::from_secs(read_timeout),
        ..OpenOptions::default()
    }
}

#[test]
fn an_rtsp_camera_sends_frames_over_tcp_and_its_freezing_is_a_read_time_out() {
    // A camera that speaks TCP only: nothing would come over UDP.
    let camera = Camera::start(&["--tcp-only"]);
    let mut source = source(&camera.url(""), &live(20, 3)).unwrap();
    let mut frame = Frame::empty();
    let mut last = None;
    for _ in 0..20 {
        assert_eq!(source.read(&mut frame).unwrap(), Read::Frame);
        assert_eq!((frame.width, frame.height, frame.timestamp_source), (640, 360, TimestampSource::Host));
        assert!(last.is_none_or(|last| frame.captured_at > last));
        last = Some(frame.captured_at);
    }
    camera.signal("STOP");
    let error = drain(source.as_mut()).1.unwrap_err();
    camera.signal("CONT");
    assert!(matches!(error, SourceError::ReadTimeout { .. }), "{error}");
    assert!(source.read(&mut frame).is_err(), "a broken stream stays broken");
}

#[test]
fn a_camera_that_goes_away_is_a_disconnect() {
    let mut camera = Camera::start(&[]);
    let mut source = source(&camera.url(""), &live(20, 10)).unwrap();
    assert_eq!(source.read(&mut Frame::empty()).unwrap(), Read::Frame);
    camera.kill();
    let error = drain(source.as_mut()).1.unwrap_err();
    assert!(matches!(error, SourceError::Disconnected { .. }), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
}

/// Reads until a frame is as wanted.
fn read_until(source: &mut dyn FrameSource, what: &str, wanted: impl Fn(&Frame) -> bool) {
    let (began, mut frame) = (Instant::now(), Frame::empty());
    while !wanted(&frame) {
        assert!(began.elapsed() < Duration::from_secs(30), "never seen: {what}");
        assert_eq!(source.read(&mut frame).unwrap(), Read::Frame);
        assert!(frame.is_whole());
    }
}

#[test]
fn a_resolution_that_changes_in_mid_stream_is_followed() {
    let mut camera = Camera::start(&["--control", "--pattern", "ball", "--gop", "15"]);
    let mut source = source(&camera.url(""), &live(20, 10)).unwrap();
    read_until(source.as_mut(), "640x360", |frame| (frame.width, frame.height) == (640, 360));
    for (size, width, height) in [("320x240", 320, 240), ("1280x720", 1280, 720), ("640x360", 640, 360)] {
        camera.tell(&format!("size {size}"));
        read_until(source.as_mut(), size, |frame| (frame.width, frame.height) == (width, height));
    }
}

#[test]
fn a_picture_waits_for_the_beginning_of_the_next_and_for_no_more() {
    let camera = Camera::start(&["--pattern", "ball"]);
    let proxy = Proxy::before(camera.port);
    let mut source = source(&proxy.url(), &live(20, 3)).unwrap();
    for _ in 0..20 {
        assert_eq!(source.read(&mut Frame::empty()).unwrap(), Read::Frame);
    }
    proxy.spoil.silent.store(true, Ordering::Relaxed);
    let (rest, end) = drain(source.as_mut());
    assert!(matches!(end, Err(SourceError::ReadTimeout { .. })), "{end:?}");
    let (sent, read) = (proxy.spoil.pictures.load(Ordering::Relaxed) as usize, 20 + rest.len());
    // That a picture is whole, FFmpeg knows by the next one.
    assert!(sent <= read + 1, "{read} of {sent} pictures");
}

#[test]
fn timestamps_that_jump_neither_end_a_stream_nor_bend_its_times() {
    let camera = Camera::start(&["--pattern", "ball"]);
    let proxy = Proxy::before(camera.port);
    let mut source = source(&proxy.url(), &live(20, 10)).unwrap();
    let mut frame = Frame::empty();
    // An hour on, two hours back, and once over the 32 bits.
    for jump in [0, 90_000 * 3600, 0_u32.wrapping_sub(90_000 * 3600), u32::MAX / 2, 0] {
        proxy.spoil.jump.store(jump, Ordering::Relaxed);
        for _ in 0..15 {
            let before = Instant::now();
            assert_eq!(source.read(&mut frame).unwrap(), Read::Frame, "{jump}");
            assert!(frame.captured_instant >= before);
        }
    }
}

#[test]
fn a_server_that_greets_and_then_hangs_holds_nobody_else_up() {
    let camera = Camera::start(&["--pattern", "ball"]);
    let proxy = Proxy::before(camera.port);
    proxy.spoil.mute.store(true, Ordering::Relaxed);
    let url = proxy.url();
    let hanging = std::thread::spawn(move || error_of(source(&url, &live(5, 3))));
    std::thread::sleep(Duration::from_millis(300));
    let mut other = source(&camera.url(""), &live(20, 3)).unwrap();
    assert_eq!(other.read(&mut Frame::empty()).unwrap(), Read::Frame);
    assert!(!hanging.is_finished(), "the other one was through while this one hung");
    let error = hanging.join().unwrap();
    assert!(matches!(error, SourceError::OpenTimeout { .. }), "{error}");
    assert_eq!(error.disposition(), Disposition::Retry);
    proxy.spoil.mute.store(false, Ordering::Relaxed);
    let began = Instant::now();
    let mut opened = loop {
        // gst-rtsp-server now and then refuses who asks for what it has just put away.
        match source(&proxy.url(), &live(20, 10)) {
            Ok(opened) => break opened,
            Err(error) => assert!(began.elapsed() < Duration::from_secs(30), "it is well again: {error}"),
        }
        std::thread::sleep(Duration::from_millis(250));
    };
    assert_eq!(opened.read(&mut Frame::empty()).unwrap(), Read::Frame);
}

#[test]
fn cancelling_ends_an_opening_and_a_read_at_once() {
    let camera = Camera::start(&["--pattern", "ball"]);
    let options = live(600, 600);
    let mut opened = source(&camera.url(""), &options).unwrap();
    assert_eq!(opened.read(&mut Frame::empty()).unwrap(), Read::Frame);
    camera.signal("STOP");
    let proxy = Proxy::before(camera.port);
    proxy.spoil.mute.store(true, Ordering::Relaxed);
    let (url, same) = (proxy.url(), options.clone());
    let waiting = [
        std::thread::spawn(move || drain(opened.as_mut()).1.unwrap_err()),
        std::thread::spawn(move || error_of(source(&url, &same))),
    ];
    std::thread::sleep(Duration::from_secs(1));
    assert!(waiting.iter().all(|waiting| !waiting.is_finished()));
    options.cancel.cancel();
    let began = Instant::now();
    for waiting in waiting {
        let error = waiting.join().unwrap();
        assert!(matches!(error, SourceError::Cancelled), "{error}");
    }
    camera.signal("CONT");
    assert!(began.elapsed() < Duration::from_mins(1), "not the time-out");
}

#[test]
fn a_camera_with_a_password_opens_for_the_right_one_only_and_nothing_repeats_it() {
    let camera = Camera::start(&["--user", "joe", "--password", "sesame"]);
    let mut opened = source(&camera.url("joe:sesame@"), &live(20, 10)).unwrap();
    assert_eq!(opened.read(&mut Frame::empty()).unwrap(), Read::Frame);
    let elsewhere = error_of(source(&camera.url("joe:sesame@").replace("/cam", "/attic"), &live(20, 10)));
    assert!(elsewhere.to_string().contains("404"), "the password is right, the path is not: {elsewhere}");
    for credentials in ["joe:opensesame@", ""] {
        let error = error_of(source(&camera.url(credentials), &live(20, 10)));
        assert!(matches!(error, SourceError::Unauthorized { .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("sesame"), "{error:?}");
    }
}

#[test]
fn a_camera_is_asked_why_it_cannot_be_opened() {
    let camera = Camera::start(&[]);
    let wrong_path = camera.url("").replace("/cam", "/attic");
    let down = format!("rtsp://joe:sesame@127.0.0.1:{}/cam", rtsp::free_port());
    let unknown = "rtsp://joe:sesame@camera.invalid/cam".to_owned();
    for (url, words) in [(wrong_path, "404"), (down, "refused"), (unknown, "resolved")] {
        let error = error_of(source(&url, &live(10, 5)));
        assert!(matches!(error, SourceError::Open { .. }), "{url}: {error}");
        let said = error.to_string();
        assert!(said.contains(words) && !said.contains("sesame"), "{said}");
    }
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_an_open_time_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let began = Instant::now();
    for scheme in ["rtsp", "http"] {
        let error = error_of(source(&format!("{scheme}://127.0.0.1:{port}/cam"), &live(2, 2)));
        assert!(matches!(error, SourceError::OpenTimeout { .. }), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

fn succeeds(command: &str) {
    let mut words = command.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{command}");
}

/// Two network namespaces joined by a cable: what the camera sends is dropped on its way, and nobody is told. Needs root.
#[test]
fn a_connection_whose_packets_are_dropped_is_a_time_out_and_comes_back_with_them() {
    const NAME: &str = "a_connection_whose_packets_are_dropped_is_a_time_out_and_comes_back_with_them";
    const INSIDE: &str = "SIGHTWIRE_TEST_NAMESPACE";
    if std::env::var_os(INSIDE).is_none() {
        if !Command::new("unshare").args(["-n", "true"]).status().is_ok_and(|status| status.success()) {
            eprintln!("skipped: no network namespaces for this user");
            return;
        }
        let mut again = Command::new("unshare");
        again.arg("-n").arg(std::env::current_exe().unwrap()).args(["--exact", NAME, "--nocapture"]);
        assert!(again.env(INSIDE, "1").status().unwrap().success());
        return;
    }
    let mut holder = Command::new("unshare").args(["-n", "sleep", "120"]).spawn().unwrap();
    let link = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    let there = holder.id().to_string();
    while link(&there) == link("self") {
        std::thread::sleep(Duration::from_millis(10));
    }
    let enter = format!("nsenter -t {there} -n ");
    succeeds(&format!("ip link add here type veth peer name there netns {there}"));
    for (enter, end, address) in [("", "here", "10.99.0.1"), (enter.as_str(), "there", "10.99.0.2")] {
        for command in [&format!("addr add {address}/24 dev {end}"), &format!("link set {end} up"), "link set lo up"] {
            succeeds(&format!("{enter}ip {command}"));
        }
    }
    let mut python = Command::new("nsenter");
    python.args(["-t", &there, "-n", "/usr/bin/python3"]);
    let camera = Camera::start_by(python, 8554, &["--address", "10.99.0.2", "--pattern", "ball"]);
    let url = format!("rtsp://10.99.0.2:{}/cam", camera.port);
    let mut opened = source(&url, &live(20, 2)).unwrap();
    assert_eq!(opened.read(&mut Frame::empty()).unwrap(), Read::Frame);
    succeeds(&format!("{enter}ip route add blackhole 10.99.0.1/32"));
    let error = drain(opened.as_mut()).1.unwrap_err();
    assert!(matches!(error, SourceError::ReadTimeout { .. }), "{error}");
    drop(opened);
    let began = Instant::now();
    let error = error_of(source(&url, &live(2, 2)));
    assert_eq!(error.disposition(), Disposition::Retry, "{error}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    succeeds(&format!("{enter}ip route del blackhole 10.99.0.1/32"));
    let mut again = source(&url, &live(20, 10)).unwrap();
    assert_eq!(again.read(&mut Frame::empty()).unwrap(), Read::Frame);
    let _ended = (holder.kill(), holder.wait());
}

#[test]
fn a_server_of_another_kind_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _gone = stream.write_all(b"220 mail.example.org ESMTP\r\n");
            std::thread::sleep(Duration::from_millis(200));
        }
    });
    let error = error_of(source(&format!("rtsp://127.0.0.1:{port}/cam"), &live(5, 2)));
    assert!(matches!(error, SourceError::Open { .. } | SourceError::OpenTimeout { .. }), "{error}");
}

#[test]
fn real_videos_play_to_their_end() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/videos");
    let Ok(entries) = std::fs::read_dir(&shared) else {
        eprintln!("skipped: no videos in {}", shared.display());
        return;
    };
    let mut videos: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    videos.retain(|path| path.extension().is_some_and(|extension| extension == "mp4"));
    for path in videos {
        let mut source = file(&path, &asap()).unwrap();
        let (mut frame, mut count) = (Frame::empty(), 0_u64);
        // Looked at as a live camera's would be, and more strictly than is usual: nothing is wrong with any of them.
        let (live, after) = ("rtsp://camera/1".parse::<SourceSpec>().unwrap(), |seconds| Span::secs(seconds));
        let strict = PictureCheck { frozen_after: after(10), black_after: after(3), covered_after: after(3) };
        let mut watch = Watch::new(&strict, live.kind()).unwrap();
        while source.read(&mut frame).unwrap_or_else(|e| panic!("{e}")) == Read::Frame {
            count += 1;
            assert_eq!(watch.look(&frame), None, "{} at frame {count}: {watch:?}", path.display());
        }
        let asked = Command::new("ffprobe")
            .args(["-v", "error", "-select_streams", "v", "-count_frames"])
            .args(["-show_entries", "stream=nb_read_frames", "-of", "default=nokey=1:noprint_wrappers=1"])
            .arg(&path)
            .output()
            .unwrap();
        let wanted: u64 = String::from_utf8(asked.stdout).unwrap().trim().parse().unwrap();
        assert_eq!(count, wanted, "{}", path.display());
    }
}
