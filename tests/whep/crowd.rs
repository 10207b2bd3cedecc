//! Many viewers at once, and many that come and go.

use std::sync::Mutex;
use std::time::Duration;

use crate::http::delete;
use crate::node::wait_for;
use crate::viewer::Viewer;
use crate::{figure, node};

const LONG: Duration = Duration::from_mins(2);
const ENDED: &str = "sightwire_webrtc_sessions_ended_total";

/// Twenty at a time, three times: some say good-bye, some hang up, some are cut off in the midst of it.
#[test]
fn viewers_come_and_go_by_twenties_and_all_see_the_camera() {
    let node = node("");
    let ended = |reason: &str| figure(&node, ENDED, &[("reason", reason)]);
    let door = Mutex::new(());
    let watch = |index: usize| {
        // One after the other: twenty handshakes at once take a slow machine longer than the viewers wait.
        let entering = door.lock().unwrap();
        let mut viewer = Viewer::open(&node.addr, "cam");
        // The last one of each round looks at what it sees; twenty decoders would want a larger machine.
        viewer.decodes = index == 19;
        assert!(viewer.watch(LONG, |_| true), "viewer {index} sees nothing");
        drop(entering);
        let mut seen = 0;
        let enough = viewer.watch(LONG, |shown| {
            seen += usize::from(shown.clock.is_some() || index < 19);
            seen == 10
        });
        assert!(enough, "viewer {index} saw {seen} pictures");
        match index % 4 {
            0 => viewer.hang_up(),
            1 => drop(viewer),
            _ => assert_eq!(delete(&node.addr, &viewer.location), 204),
        }
    };
    for round in 1..=3u32 {
        std::thread::scope(|scope| {
            (0..20).for_each(|index| drop(scope.spawn(move || watch(index))));
        });
        wait_for("those who said so are gone", || (ended("left") >= 15.0 * f64::from(round)).then_some(()));
    }
    assert_eq!(ended("failed") + ended("never_connected"), 0.0);
    // Those who were cut off are missed after a while; nothing is left of any.
    let begun = std::time::Instant::now();
    while ended("lost") < 15.0 {
        assert!(begun.elapsed() < LONG, "{} were missed", ended("lost"));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(ended("left"), 45.0);
    assert_eq!(figure(&node, "sightwire_viewers", &[("camera", "cam"), ("way", "webrtc")]), 0.0);
    assert!(!node.log.text().contains("panic"), "{}", node.log.text());
    node.end();
}
