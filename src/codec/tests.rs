use proptest::prelude::*;

use super::*;
use crate::domain::{BBox, BootId, Detection, Timestamp, TimestampSource};
use crate::envelope::{EventKind, FrameInfo, KeyframeReason, Timing};

/// Values that JSON's decimals carry exactly: whole steps of what is written.
fn steps(scale: u16) -> impl Strategy<Value = f32> {
    (0..=scale).prop_map(move |n| f32::from(n) / f32::from(scale))
}

fn bbox() -> impl Strategy<Value = BBox> {
    prop::array::uniform4(steps(10_000)).prop_map(BBox::from)
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_000i64).prop_map(Timestamp::from_micros)
}

fn detection() -> impl Strategy<Value = Detection> {
    (".{0,12}", steps(10_000), bbox(), any::<u32>(), any::<Option<u64>>()).prop_map(
        |(label, score, bbox, class_id, track_id)| Detection { label: label.into(), score, bbox, class_id, track_id },
    )
}

fn frame() -> impl Strategy<Value = FrameInfo> {
    let source = prop::sample::select(vec![
        TimestampSource::Rtcp,
        TimestampSource::Host,
        TimestampSource::File,
        TimestampSource::Client,
    ]);
    (any::<u64>(), any::<u32>(), any::<u32>(), source).prop_map(|(id, width, height, timestamp_source)| FrameInfo {
        id,
        width,
        height,
        timestamp_source,
    })
}

fn detections() -> impl Strategy<Value = Detections> {
    (timestamp(), prop::collection::vec(detection(), 0..8), 1..u64::MAX, frame(), steps(1000), any::<bool>()).prop_map(
        |(timestamp, detections, seq, frame, stage, replayed)| Detections {
            timestamp,
            detections,
            camera: "front-door".parse().unwrap(),
            node: "garage".parse().unwrap(),
            boot_id: BootId::new(),
            seq,
            frame,
            timing: Timing { decode: stage, inference: stage, ..Timing::default() },
            text: (0..seq % 3).map(|n| format!("line {n}")).collect(),
            inferred_at: (seq % 2 == 0).then_some(timestamp),
            replayed,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(vec![EventKind::Started, EventKind::Ended]);
    (detection(), timestamp(), timestamp(), kind, 1..u64::MAX, any::<bool>()).prop_map(
        |(d, timestamp, first_seen, event, seq, replayed)| Event {
            timestamp,
            event,
            camera: "front-door".parse().unwrap(),
            node: "garage".parse().unwrap(),
            boot_id: BootId::new(),
            seq,
            track_id: d.track_id.unwrap_or_default(),
            label: d.label,
            score: d.score,
            bbox: d.bbox,
            first_seen,
            last_seen: timestamp,
            first_bbox: (!replayed).then_some(d.bbox),
            duration: (!replayed).then_some(0.25),
            replayed,
        },
    )
}

const BOTH: [Encoding; 2] = [Encoding::Json, Encoding::Protobuf];

proptest! {
    #[test]
    fn detections_read_back_as_they_were_said(full in detections()) {
        for encoding in BOTH {
            let (bytes, content_type) = encode_detections(&full, PayloadChoice::Full, encoding);
            prop_assert_eq!(encoding_of(Some(content_type)), encoding);
            prop_assert_eq!(&decode_detections(&bytes, encoding).unwrap(), &full);
            prop_assert_eq!(decode_minimal(&bytes, encoding).unwrap(), Minimal::from(&full));
            let (bytes, _) = encode_detections(&full, PayloadChoice::Minimal, encoding);
            prop_assert_eq!(decode_minimal(&bytes, encoding).unwrap(), Minimal::from(&full));
            prop_assert!(decode_detections(&bytes, encoding).is_err());
        }
    }

    #[test]
    fn events_read_back_as_they_were_said(said in event()) {
        for encoding in BOTH {
            let (bytes, _) = encode_event(&said, encoding);
            prop_assert_eq!(&decode_event(&bytes, encoding).unwrap(), &said);
        }
    }

    #[test]
    fn keyframe_metadata_reads_back_as_it_was_said(frame in frame(), timestamp in timestamp(), seq in any::<Option<u64>>()) {
        let meta = KeyframeMeta {
            timestamp,
            camera: "c".parse().unwrap(),
            node: "n".parse().unwrap(),
            boot_id: BootId::new(),
            seq,
            frame,
            width: 1280,
            height: 720,
            bytes: 90_000,
            content_type: "image/jpeg".into(),
            reason: KeyframeReason::Event,
        };
        for encoding in BOTH {
            let (bytes, _) = encode_keyframe_meta(&meta, encoding);
            prop_assert_eq!(&decode_keyframe_meta(&bytes, encoding).unwrap(), &meta);
        }
    }

    #[test]
    fn arbitrary_bytes_are_an_error_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in BOTH {
            let _ = decode_detections(&bytes, encoding);
            let _ = decode_minimal(&bytes, encoding);
            let _ = decode_event(&bytes, encoding);
            let _ = decode_keyframe_meta(&bytes, encoding);
        }
    }

    #[test]
    fn an_encoded_message_can_say_that_it_comes_late(mut full in detections()) {
        full.replayed = false;
        for encoding in BOTH {
            for payload in [PayloadChoice::Full, PayloadChoice::Minimal] {
                let (bytes, _) = encode_detections(&full, payload, encoding);
                prop_assert_eq!(
                    decode_minimal(&late(encoding)(&bytes), encoding).unwrap(),
                    Minimal { replayed: true, ..Minimal::from(&full) }
                );
            }
        }
    }
}

#[test]
fn json_is_the_contracts_word_for_word() {
    let full = Detections {
        timestamp: Timestamp::from_micros(1_763_683_200_123_000),
        detections: vec![Detection {
            label: "car".into(),
            score: 0.94,
            bbox: BBox::from([0.11, 0.33, 0.28, 0.77]),
            class_id: 2,
            track_id: Some(17),
        }],
        camera: "front-door".parse().unwrap(),
        node: "garage".parse().unwrap(),
        boot_id: BootId::from("0199".to_owned()),
        seq: 1042,
        frame: FrameInfo { id: 5210, width: 1920, height: 1080, timestamp_source: TimestampSource::Host },
        timing: Timing {
            decode: 4.1,
            wait: 0.3,
            preprocess: 0.9,
            inference: 11.8,
            postprocess: 0.1,
            track: 0.05,
            encode: 0.02,
        },
        text: Vec::new(),
        inferred_at: None,
        replayed: false,
    };
    let (bytes, content_type) = encode_detections(&full, PayloadChoice::Full, Encoding::Json);
    assert_eq!(content_type, "application/json");
    assert_eq!(
        std::str::from_utf8(&bytes).unwrap(),
        concat!(
            r#"{"timestamp":1763683200.123,"detections":[{"label":"car","score":0.94,"bbox":[0.11,0.33,0.28,0.77],"class_id":2,"track_id":17}],"#,
            r#""camera":"front-door","node":"garage","boot_id":"0199","seq":1042,"#,
            r#""frame":{"id":5210,"width":1920,"height":1080,"timestamp_source":"host"},"#,
            r#""timing":{"decode":4.1,"wait":0.3,"preprocess":0.9,"inference":11.8,"postprocess":0.1,"track":0.05,"encode":0.02}}"#
        )
    );
    let (bytes, _) = encode_detections(&full, PayloadChoice::Minimal, Encoding::Json);
    assert_eq!(
        std::str::from_utf8(&bytes).unwrap(),
        r#"{"timestamp":1763683200.123,"detections":[{"label":"car","score":0.94,"bbox":[0.11,0.33,0.28,0.77]}]}"#
    );
    let (bytes, _) = encode_detections(&Detections { replayed: true, ..full }, PayloadChoice::Minimal, Encoding::Json);
    assert!(bytes.ends_with(br#","replayed":true}"#));
}
