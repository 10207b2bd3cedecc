//! A traced frame from capture to delivery.

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::collector::{Collector, attributes, hex};
use crate::common::{Mosquitto, NatsServer};
use crate::node::{Home, SHAPES, buses, scene, wait_for};
use crate::traces;
use crate::witness::{MqttWitness, NatsWitness, Received};

/// Trace and span of the message.
fn parent(said: &Received) -> (String, String) {
    let fields: Vec<&str> = said.properties["traceparent"].split('-').collect();
    assert_eq!((fields.len(), fields[0], fields[3]), (4, "00", "01"));
    (fields[1].to_owned(), fields[2].to_owned())
}

fn is_traced(said: &Received, kind: &str) -> bool {
    said.is_of("door", kind) && said.properties.contains_key("traceparent")
}

fn named<'a>(spans: &'a [Span], parent: &[u8], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.parent_span_id == parent && span.name == name).collect()
}

fn millis(span: &Span) -> f64 {
    std::time::Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano).as_secs_f64() * 1e3
}

/// What a bus did with this message: waited, and delivered with this outcome.
fn hold_bus(spans: &[Span], message: &Span, bus: &str, outcome: &str) {
    let of = |name: &str| -> Span {
        let found = named(spans, &message.span_id, name);
        let found: Vec<&Span> =
            found.into_iter().filter(|span| attributes(&span.attributes)["messaging.system"] == bus).collect();
        assert_eq!(found.len(), 1, "{bus} {name}: {spans:#?}");
        found[0].clone()
    };
    let (waited, delivered) = (of("outbox"), of("deliver"));
    assert_eq!(waited.end_time_unix_nano, delivered.start_time_unix_nano, "one begins where the other ends");
    assert_eq!(attributes(&delivered.attributes)["sightwire.outcome"], outcome, "{bus}");
    // A stream tells of its acknowledgement alone.
    let told = usize::from(bus != "nats" || outcome != "acked");
    assert_eq!(delivered.events.len(), told, "when the socket had it: {bus} {outcome}");
    for written in delivered.events.iter().map(|event| event.time_unix_nano) {
        assert!((delivered.start_time_unix_nano..=delivered.end_time_unix_nano).contains(&written));
    }
    assert!(delivered.status.is_none());
}

fn hold_nesting(spans: &[Span]) {
    for span in spans.iter().filter(|span| !span.parent_span_id.is_empty()) {
        let parent = spans.iter().find(|parent| parent.span_id == span.parent_span_id);
        let parent = parent.unwrap_or_else(|| panic!("no parent: {span:?}"));
        assert!(parent.start_time_unix_nano <= span.start_time_unix_nano, "{span:?} in {parent:?}");
        assert!(parent.end_time_unix_nano >= span.end_time_unix_nano, "{span:?} in {parent:?}");
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    }
}

#[test]
fn a_traced_frame_is_told_from_its_capture_to_both_brokers_and_its_messages_name_it() {
    let (broker, server, collector) = (Mosquitto::open(), NatsServer::with_jetstream(), Collector::open());
    let (mqtt, nats) = (MqttWitness::v5(broker.port), NatsWitness::new(server.port));
    let home = Home::new(&format!(
        "{}{}{SHAPES}cameras:\n  door: {{ source: {}, model: shapes, max_fps: 0 }}\n",
        buses(Some((broker.port, "5")), Some(server.port)),
        traces(&collector.endpoint(), "0s", ", headers_file: headers, service_name: eyes"),
        scene(5, "&objects=4"),
    ));
    std::fs::write(home.path().join("headers"), "Authorization: Bearer hush-hush\n").unwrap();
    let node = home.start();

    // A frame well after the start, when both buses are there.
    let is_late = |m: &Received| is_traced(m, "detections") && m.detections().seq > 10;
    let said = mqtt.inbox.wait("traced detections", is_late);
    let message = said.detections();
    let same = |m: &Received| m.is_of("door", "detections") && m.detections().seq == message.seq;
    let (trace, span) = parent(&said);
    assert_eq!(parent(&nats.inbox.wait("them on NATS", same)), (trace.clone(), span.clone()));

    let spans = collector.trace(&trace);
    let root = spans.iter().find(|span| span.parent_span_id.is_empty()).unwrap();
    let about = attributes(&root.attributes);
    assert_eq!((root.name.as_str(), about["sightwire.camera"].as_str()), ("frame", "door"));
    assert_eq!(about["sightwire.frame.id"], message.frame.id.to_string());
    hold_nesting(&spans);
    // The stages are those that the message itself tells, one after the other.
    let t = message.timing;
    let mut last = 0;
    for (stage, told) in [
        ("decode", t.decode),
        ("wait", t.wait),
        ("preprocess", t.preprocess),
        ("inference", t.inference),
        ("postprocess", t.postprocess),
        ("track", t.track),
    ] {
        let found = named(&spans, &root.span_id, stage);
        assert_eq!(found.len(), 1, "{stage}");
        assert!((millis(found[0]) - f64::from(told)).abs() < 0.01, "{stage}: {} and {told}", millis(found[0]));
        assert!(found[0].start_time_unix_nano >= last, "{stage} before the stage before it");
        last = found[0].end_time_unix_nano;
    }
    let publish = spans.iter().find(|s| hex(&s.span_id) == span).expect("the span that the message names");
    assert_eq!((publish.name.as_str(), &publish.parent_span_id), ("publish", &root.span_id));
    assert_eq!(attributes(&publish.attributes)["sightwire.seq"], message.seq.to_string());
    assert_eq!(named(&spans, &publish.span_id, "encode").len(), 1);
    for bus in ["mqtt", "nats"] {
        hold_bus(&spans, publish, bus, "sent");
    }

    // An event of a traced frame: acknowledged by broker and stream.
    let event = mqtt.inbox.wait("a traced event", |m| is_traced(m, "events"));
    let (trace, span) = parent(&event);
    let spans = collector.trace(&trace);
    hold_nesting(&spans);
    let publish = spans.iter().find(|s| hex(&s.span_id) == span).unwrap();
    assert_eq!(attributes(&publish.attributes)["sightwire.kind"], "event");
    for bus in ["mqtt", "nats"] {
        hold_bus(&spans, publish, bus, "acked");
    }
    let stored = nats.stored("sightwire.cameras.door.events");
    assert!(
        stored.iter().any(|m| m.properties.get("traceparent") == event.properties.get("traceparent")),
        "in the stream"
    );

    let told = collector.told().remove(0);
    assert_eq!((told.path.as_str(), told.headers["content-type"].as_str()), ("/v1/traces", "application/x-protobuf"));
    assert_eq!(told.headers["authorization"], "Bearer hush-hush");
    let resource = attributes(&told.spans.resource.unwrap().attributes);
    assert_eq!((resource["service.name"].as_str(), resource["sightwire.node"].as_str()), ("eyes", "garage"));
    assert_eq!(resource["service.instance.id"], message.boot_id.as_str());
    assert!(node.metrics().sum("sightwire_traces_total", &[("outcome", "exported")]) > 0.0);
    let (status, log) = node.end();
    assert!(status.success());
    assert!(!log.text().contains("hush"), "a secret is shown");
}

#[test]
fn one_frame_in_so_long_is_traced_and_without_the_section_none() {
    let (broker, collector) = (Mosquitto::open(), Collector::open());
    let witness = MqttWitness::v5(broker.port);
    let cameras = |names: &[&str]| -> String {
        let line = |name: &&str| format!("  {name}: {{ source: {}, model: shapes, max_fps: 0 }}\n", scene(10, ""));
        names.iter().map(line).collect()
    };
    let mqtt = buses(Some((broker.port, "5")), None);
    let section = traces(&collector.endpoint(), "1h", "");
    let home = Home::new(&format!("{mqtt}{section}{SHAPES}cameras:\n{}", cameras(&["door", "yard"])));
    let node = home.start_owned();
    wait_for("two traces", || {
        (node.metrics().sum("sightwire_traces_total", &[("outcome", "exported")]) >= 2.0).then_some(())
    });
    for camera in ["door", "yard"] {
        witness.inbox.wait_many("many detections", 20, |m| m.is_of(camera, "detections"));
        let all = witness.inbox.of(camera, "detections");
        let traced = all.iter().filter(|m| m.properties.contains_key("traceparent")).count();
        assert_eq!(traced, 1, "of {}", all.len());
    }
    assert!(node.end().0.success());
    assert_eq!(collector.spans().iter().filter(|span| span.parent_span_id.is_empty()).count(), 2);

    let home = Home::new(&format!("{mqtt}{SHAPES}cameras:\n{}", cameras(&["shop"])));
    let node = home.start_owned();
    witness.inbox.wait_many("detections", 5, |m| m.is_of("shop", "detections"));
    assert!(witness.inbox.of("shop", "detections").iter().all(|m| m.properties.is_empty()));
    assert!(!node.get("/metrics").1.contains("sightwire_traces_total{"));
}
