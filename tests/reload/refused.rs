//! A file that is wrong changes nothing and says why.

use crate::common::retained;
use crate::node::wait_for;
use crate::{Yard, camera, names};

const SECRET: &str = "geheim";

#[test]
fn a_bad_file_changes_nothing_and_says_all_that_is_wrong_without_its_secrets() {
    let a = camera("a", 10, 1, ", max_fps: 0");
    let yard = Yard::open(&a);
    yard.flows("a");
    let stamp = |yard: &Yard| yard.node.metrics().sum("sightwire_config_last_reload_success_timestamp_seconds", &[]);
    let successful = |yard: &Yard| yard.node.metrics().sum("sightwire_config_last_reload_successful", &[]);
    let began = stamp(&yard);
    assert!(began > 1.7e9 && successful(&yard) == 1.0, "{began}");
    let good = yard.text(crate::SHAPES, &a);
    let bad = [
        (
            format!("{good}  b: {{ source: \"rtsp://u:{SECRET}@h/s\", model: nosuch, max_fps: -1 }}\n"),
            &["nosuch", "max_fps"][..],
        ),
        (format!("{good}\t: [{SECRET}"), &["sightwire.yaml:"]),
        (good.replace("cameras:", "kameras:"), &["kameras"]),
        (
            format!("{good}  b: {{ source: \"rtsp://u:${{NOT_SET_{SECRET}}}@h/s\", model: shapes }}\n"),
            &["cameras.b.source"],
        ),
        (String::new(), &["the file is empty"]),
        ("\u{0}\u{1}".into(), &["sightwire.yaml"]),
    ];
    for (at, (text, says)) in bad.into_iter().enumerate() {
        std::fs::write(yard.file(), &text).unwrap();
        let answer = yard.reload(&format!("bad-{at}"));
        assert_eq!((&answer["ok"], &answer["error"]["code"]), (&false.into(), &"bad_configuration".into()), "{answer}");
        let message = answer["error"]["message"].as_str().unwrap();
        assert!(says.iter().all(|word| message.contains(word)), "{at}: {message}");
        let last = yard.last().unwrap();
        assert_eq!((&last["ok"], &last["error"]), (&false.into(), &message.into()));
        assert_eq!((stamp(&yard), successful(&yard)), (began, 0.0));
    }
    std::fs::remove_file(yard.file()).unwrap();
    assert!(yard.reload("none")["error"]["message"].as_str().unwrap().contains("no such file"));
    yard.flows("a");
    std::fs::write(yard.file(), good).unwrap();
    assert_eq!(yard.hang_up()["ok"], true);
    assert!(successful(&yard) == 1.0 && stamp(&yard) > began);
    yard.flows("a");
    yard.is_whole("a");
    let said = yard.witness.inbox.all().iter().map(crate::witness::Received::text).collect::<String>();
    for text in
        [yard.node.log.text().replace(&format!("NOT_SET_{SECRET}"), ""), said.replace(&format!("NOT_SET_{SECRET}"), "")]
    {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn a_file_with_warnings_goes_through_and_they_are_said() {
    let yard = Yard::open(&camera("a", 10, 1, ""));
    yard.flows("a");
    yard.write(&camera("a", 10, 1, ", labels: []"));
    let done = yard.hang_up();
    assert_eq!((&done["ok"], names(&done["changed"])), (&true.into(), vec!["a"]), "{done}");
    assert!(names(&done["warnings"])[0].contains("no label is published"), "{done}");
    wait_for("the state that is retained says so", || {
        retained(yard.broker.port, "sightwire/nodes/garage/state").filter(|state| state.contains("\"reload\""))
    });
}
