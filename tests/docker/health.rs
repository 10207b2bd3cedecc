//! `sightwire health`, by which the container engine knows how the node is, and the configuration for a camera of one's own.

use std::time::{Duration, Instant};

use crate::common::PATIENCE;
use crate::site::{Site, sightwire};

#[test]
fn health_tells_who_lives_who_is_ready_and_what_is_not() {
    let mut site = Site::open();
    let config = site.config("own-cameras.yaml", "").display().to_string();
    let text = std::fs::read_to_string(&config)
        .unwrap()
        .replace("${SIGHTWIRE_SOURCE}", "synthetic:shapes?width=96&height=64&fps=2");
    std::fs::write(&config, text).unwrap();
    let url = format!("http://127.0.0.1:{}", site.http);
    let token = site.folder.path().join("of/sightwire/http_token").display().to_string();
    let health = |args: &[&str]| {
        let output = sightwire(site.folder.path()).args(["health", "--url", &url]).args(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, said) = health(&[]);
    assert!(code == 1 && said.contains("no answer") && said.contains("http.listen"), "{said}");

    let node = site.run(config.as_ref());
    let until = |args: &[&str], done: &dyn Fn(&(i32, String)) -> bool| {
        let start = Instant::now();
        loop {
            let now = health(args);
            if done(&now) {
                return now;
            }
            assert!(start.elapsed() < 2 * PATIENCE, "{now:?}\n{}", site.log());
            std::thread::sleep(Duration::from_millis(200));
        }
    };
    until(&["--ready"], &|(code, _)| *code == 0);
    assert_eq!(health(&["--ready", "--token-file", &token]), (0, "ok\n".into()));
    assert_eq!(health(&[]), (0, "ok\n".into()));

    // The broker goes: the process lives, and is not ready. Who brings the token is told why.
    site.mqtt.stop();
    let health = |args: &[&str]| {
        let output = sightwire(site.folder.path()).args(["health", "--url", &url]).args(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let start = Instant::now();
    while health(&["--ready"]).0 == 0 {
        assert!(start.elapsed() < 2 * PATIENCE, "{}", site.log());
        std::thread::sleep(Duration::from_millis(200));
    }
    let (code, said) = health(&["--ready", "--token-file", &token]);
    assert!(code == 1 && said.starts_with("not ready: bus mqtt"), "{said}");
    assert_eq!(health(&["--ready"]), (1, "not ready; who brings the token is told why\n".into()));
    assert_eq!(health(&[]).0, 0, "the process lives");
    drop(node);
    let (code, said) = health(&["--timeout", "soon"]);
    assert!(code == 2 && said.contains("length of time"), "{said}");
}
