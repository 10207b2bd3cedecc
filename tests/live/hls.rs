//! HLS, fetched and decoded by ffmpeg.

use std::process::Command;
use std::time::Duration;

use crate::client::{Node, until};
use crate::common::process::Process;
use crate::viewer::{encoded, threads, viewers};

const DOOR: &str = "  door: { source: \"synthetic:shapes?objects=3&clock=true\", model: shapes }\n";
const INDEX: &str = "/cameras/door/hls/index.m3u8";

fn playlist(node: &Node) -> String {
    let answer = node.get(INDEX, &[]).expect(200);
    assert_eq!(answer.header("content-type"), "application/vnd.apple.mpegurl");
    answer.text()
}

fn value(playlist: &str, tag: &str) -> u64 {
    let line = playlist.lines().find_map(|line| line.strip_prefix(tag)).unwrap_or_else(|| panic!("{tag}: {playlist}"));
    line.parse().unwrap()
}

fn segments(playlist: &str) -> Vec<String> {
    playlist.lines().filter(|line| line.starts_with("segment-")).map(str::to_owned).collect()
}

/// Names of the files that a player begins with.
fn heads(playlist: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("#EXT-X-MAP:URI=\"")?.strip_suffix('"')?.to_owned());
    playlist.lines().filter_map(name).collect()
}

/// Runs it, and gives what it says on both outputs.
fn run(program: &str, arguments: &[&str]) -> (String, String) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {arguments:?}\n{log}");
    (out.into_owned(), log.into_owned())
}

#[test]
fn ffmpeg_plays_it_and_nothing_is_missing_or_out_of_order() {
    let node = Node::start("", DOOR);
    let url = format!("http://{}{INDEX}", node.address);
    // Frames as they are, none doubled or dropped to an even rate.
    let play = [
        "-hide_banner",
        "-loglevel",
        "warning",
        "-i",
        &url,
        "-frames:v",
        "20",
        "-fps_mode",
        "passthrough",
        // The times of the stream, not rounded to an even rate: two frames may come in one slot of it.
        "-enc_time_base",
        "-1",
        "-f",
        "framemd5",
        "-",
    ];
    let (frames, log) = run("ffmpeg", &play);
    let times: Vec<u64> = frames
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(',').nth(2).unwrap().trim().parse().unwrap())
        .collect();
    assert!(times.len() >= 15 && times.is_sorted_by(|a, b| a < b), "{frames}\n{log}");
    assert!(!log.contains("error") && !log.contains("Invalid") && !log.contains("non monoton"), "{log}");
    // Two players and a picture: still one encoder.
    assert_eq!((viewers(&node, "hls"), threads(&node)), (1.0, 1));

    let list = playlist(&node);
    let names = segments(&list);
    let mut file = node.get(&format!("/cameras/door/hls/{}", heads(&list)[0]), &[]).expect(200).body;
    for name in &names {
        let segment = node.get(&format!("/cameras/door/hls/{name}"), &[]).expect(200);
        assert_eq!(segment.header("content-type"), "video/iso.segment");
        file.extend(segment.body);
    }
    let path = node.path().join("joined.mp4");
    std::fs::write(&path, file).unwrap();
    let path = path.to_str().unwrap();
    let show = [
        "-loglevel",
        "warning",
        "-count_frames",
        "-show_entries",
        "stream=nb_read_frames,nb_read_packets,profile,width,height",
    ];
    let (facts, log) = run("ffprobe", &[&show[..], &["-count_packets", "-of", "default=nw=1", path]].concat());
    assert!(facts.contains("profile=Constrained Baseline") && facts.contains("width=640"), "{facts}");
    let count = |name: &str| -> u64 {
        facts.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{facts}")).parse().unwrap()
    };
    assert!(count("nb_read_frames=") > 0 && count("nb_read_frames=") == count("nb_read_packets="), "{facts}\n{log}");
    assert!(log.trim().is_empty(), "{log}");
    // What the playlist says a segment lasts is what its pictures last.
    let said: f64 =
        list.lines().filter_map(|l| l.strip_prefix("#EXTINF:")?.strip_suffix(',')?.parse::<f64>().ok()).sum();
    let (times, _) =
        run("ffprobe", &["-loglevel", "error", "-show_entries", "packet=pts_time", "-of", "csv=p=0", path]);
    let times: Vec<f64> = times.lines().map(|line| line.trim_matches(',').parse().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    let lasted = times.last().unwrap() - times.first().unwrap();
    assert!(lasted < said && said < lasted + 1.5, "{said} s are listed, the pictures span {lasted} s");
}

#[test]
fn segments_come_at_their_pace_old_ones_go_and_a_rest_is_a_discontinuity() {
    let node = Node::start("", DOOR);
    let first = playlist(&node);
    let begin = value(&first, "#EXT-X-MEDIA-SEQUENCE:");
    assert!(first.contains("#EXT-X-VERSION:7\n"), "{first}");
    assert_eq!(heads(&first), [format!("init-{begin}.mp4")]);
    assert!(first.contains("#EXT-X-INDEPENDENT-SEGMENTS") && first.contains("#EXT-X-PROGRAM-DATE-TIME:20"), "{first}");
    until("the first segment is gone", || {
        playlist(&node);
        node.get(&format!("/cameras/door/hls/segment-{begin}.m4s"), &[]).status == 404
    });
    let late = playlist(&node);
    let names = segments(&late);
    assert!((4..=16).contains(&names.len()), "{late}");
    assert!(value(&late, "#EXT-X-MEDIA-SEQUENCE:") > begin + 3);
    for name in &names {
        node.get(&format!("/cameras/door/hls/{name}"), &[]).expect(200);
    }
    // Nobody asks for a while: nothing is made. Asking for figures is no watching.
    until("encoding ends", || threads(&node) == 0 && viewers(&node, "hls") == 0.0);
    let made = encoded(&node, "h264");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(encoded(&node, "h264"), made);
    let again = playlist(&node);
    assert!(again.contains("#EXT-X-DISCONTINUITY\n"), "{again}");
    assert!(value(&again, "#EXT-X-MEDIA-SEQUENCE:") > value(&late, "#EXT-X-MEDIA-SEQUENCE:"));
}

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[test]
fn a_player_goes_on_over_a_stop_a_start_and_another_size() {
    let node = Node::start("", DOOR);
    let url = format!("http://{}{INDEX}", node.address);
    let show =
        ["-loglevel", "warning", "-select_streams", "v", "-show_entries", "frame=pts_time,width", "-of", "csv=p=0"];
    let lines = node.path().join("frames");
    // Into a file it would keep its lines for long.
    let mut command = Command::new("stdbuf");
    command.args(["-oL", "ffprobe"]);
    command.args(show).arg(&url).stdout(std::fs::File::create(&lines).unwrap());
    let mut player = Process::spawn(command.stderr(std::fs::File::create(node.path().join("said")).unwrap()));
    let frames = || -> Vec<(f64, u32)> {
        let text = std::fs::read_to_string(&lines).unwrap();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let frame = |line: &str| {
            let mut fields = line.split(',');
            (fields.next().unwrap().parse().unwrap(), fields.next().unwrap().parse().unwrap())
        };
        whole.lines().map(frame).collect()
    };
    until("it plays", || frames().len() > 12);
    let newest = |list: &str| segments(list).last().unwrap().clone();
    node.post("/api/cameras/door/stop", &[JSON], b"").expect(200);
    node.until_state("door", "stopped");
    let before = playlist(&node);
    until("slates go on as segments", || newest(&playlist(&node)) != newest(&before));
    let shown = frames().len();
    node.post("/api/cameras/door/start", &[JSON], b"").expect(200);
    until("slates and pictures are shown", || frames().len() > shown + 12);
    let seen = frames();
    assert!(seen.iter().all(|frame| frame.1 == 640) && seen.is_sorted_by(|a, b| a.0 < b.0), "{seen:?}");
    let list = playlist(&node);
    // The picture's size is as it was: nothing has begun anew.
    assert_eq!(heads(&list).len(), 1, "{list}");

    let file = node.path().join("sightwire.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("objects=3", "width=320&height=240&objects=3")).unwrap();
    node.process.signal("HUP");
    until("the new source's segments are there", || {
        let answer = node.get(INDEX, &[]);
        answer.status == 200 && heads(&answer.text()).iter().any(|head| *head > heads(&list)[0])
    });
    let after = playlist(&node);
    assert!(after.contains("#EXT-X-DISCONTINUITY\n"), "{after}");
    for tag in ["#EXT-X-MEDIA-SEQUENCE:", "#EXT-X-DISCONTINUITY-SEQUENCE:"] {
        assert!(value(&after, tag) > value(&list, tag), "{tag} {list}{after}");
    }
    until("the same player shows the new size", || frames().iter().filter(|frame| frame.1 == 320).count() > 12);
    player.kill();
    let said = std::fs::read_to_string(node.path().join("said")).unwrap();
    assert!(!said.contains("Invalid data") && !said.contains("error"), "{said}");
}
