//! Pictures of every size and models that answer nonsense: the detector itself, on models of a few bytes.

use sightwire::domain::{Detection, Frame};
use sightwire::inference::{Detector, InferenceError, LabelsConfig, ModelConfig, OnnxDetector, Runtime};

use crate::onnx::{Constant, Model, UINT8};

const NAMES: &str = "{0: 'ball', 1: 'cube'}";
/// Input of 64x64, two classes: YOLOv8's `[1, 6, 84]`, YOLOX's `[1, 84, 7]`.
const SIDE: i64 = 64;

fn picture(width: u32, height: u32, value: u8) -> Frame {
    let bgr = vec![value; 3 * width as usize * height as usize];
    Frame { width, height, bgr, ..Frame::empty() }
}

fn load_as(model: &Model, change: impl Fn(&mut ModelConfig)) -> Result<OnnxDetector, InferenceError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.onnx");
    std::fs::write(&path, model.bytes()).unwrap();
    let mut config = ModelConfig::new(path);
    change(&mut config);
    OnnxDetector::load(&Runtime::load().unwrap(), &config)
}

fn load(model: Model) -> Result<OnnxDetector, InferenceError> {
    load_as(&model.metadata("names", NAMES), |_| {})
}

fn detect(detector: &mut OnnxDetector, frame: &Frame) -> Result<Vec<Detection>, InferenceError> {
    let mut found = Vec::new();
    detector.detect(frame, &mut found).map(|_| found)
}

/// YOLOv8's output: each anchor a column of these six values.
fn yolo(anchors: &[[f32; 6]]) -> Model {
    let mut values = vec![0.0; 6 * 84];
    for (at, anchor) in anchors.iter().enumerate() {
        anchor.iter().enumerate().for_each(|(row, &value)| values[row * 84 + at] = value);
    }
    Model::new([1, 3, SIDE, SIDE]).constant("output0", &[1, 6, 84], Constant::Values(values))
}

/// A ball over the whole input.
const WHOLE: [f32; 6] = [32.0, 32.0, 64.0, 64.0, 0.9, 0.0];

#[test]
fn frames_of_every_size_give_boxes_in_fractions_of_themselves() {
    // One object in the middle half of the input, and one that reaches far over its edges.
    let far = [32.0, 32.0, 900.0, 900.0, 0.0, 0.8];
    let mut detector = load(yolo(&[[32.0, 32.0, 16.0, 16.0, 0.9, 0.0], far])).unwrap();
    // Sizes change from frame to frame; grey, black and white are sizes too.
    for (width, height) in
        [(640u16, 480u16), (1, 1), (7680, 4320), (3, 2001), (1999, 1), (480, 640), (641, 479), (640, 480)]
    {
        for value in [0, 128, 255] {
            let found = detect(&mut detector, &picture(width.into(), height.into(), value)).unwrap();
            assert_eq!(found.len(), 2, "{width}x{height}");
            let bbox = found[0].bbox;
            for at in [bbox.x_min, bbox.y_min, bbox.x_max, bbox.y_max] {
                assert!((0.0..=1.0).contains(&at), "{width}x{height}: {bbox:?}");
            }
            let centre = (f32::midpoint(bbox.x_min, bbox.x_max), f32::midpoint(bbox.y_min, bbox.y_max));
            // The input's middle is the picture's, to half a pixel of the input.
            let slack = |side: u16, other: u16| 0.5 / 64.0 * (f32::from(other.max(side)) / f32::from(side)) + 1e-3;
            assert!((centre.0 - 0.5).abs() <= slack(width, height), "{width}x{height}: {bbox:?}");
            assert!((centre.1 - 0.5).abs() <= slack(height, width), "{width}x{height}: {bbox:?}");
            assert_eq!(<[f32; 4]>::from(found[1].bbox), [0.0, 0.0, 1.0, 1.0]);
        }
    }
}

#[test]
fn a_frame_without_a_picture_is_an_error_and_the_next_one_is_read() {
    let mut detector = load(yolo(&[WHOLE])).unwrap();
    let half = Frame { bgr: vec![0; 100], ..picture(64, 64, 0) };
    for (frame, says) in [(Frame::empty(), "0x0"), (picture(0, 5, 0), "0x5"), (half, "64x64 pixels and 100 bytes")] {
        let error = detect(&mut detector, &frame).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert_eq!(detect(&mut detector, &picture(64, 64, 0)).unwrap().len(), 1);
}

#[test]
fn outputs_that_are_no_numbers_are_an_error_or_dropped() {
    // All of them: the model is broken, and says so when it is loaded.
    let model = Model::new([1, 3, SIDE, SIDE]).constant("output0", &[1, 6, 84], Constant::All(f32::NAN));
    let error = load(model).err().unwrap();
    assert!(error.to_string().contains("no numbers (NaN or infinite)"), "{error}");
    // Some of them: the others stand.
    let inf = [f32::INFINITY, 32.0, 9.0, 9.0, 0.9, 0.0];
    let nan = [32.0, 32.0, 9.0, f32::NAN, 0.9, 0.0];
    let no_score = [32.0, 32.0, 9.0, 9.0, f32::NAN, f32::NAN];
    let sure = [32.0, 32.0, 9.0, 9.0, f32::INFINITY, 0.0];
    let mut detector = load(yolo(&[inf, nan, no_score, sure, WHOLE])).unwrap();
    let found = detect(&mut detector, &picture(64, 64, 0)).unwrap();
    assert_eq!(found.iter().map(|d| d.score).collect::<Vec<_>>(), [0.9]);
    // Nothing but such boxes.
    let mut detector = load(yolo(&[inf, nan])).unwrap();
    let error = detect(&mut detector, &picture(64, 64, 0)).unwrap_err();
    assert_eq!(error.code(), "inference_failed");
    assert!(error.to_string().contains("no numbers"), "{error}");
    // Nothing at all is no fault.
    assert!(detect(&mut load(yolo(&[])).unwrap(), &picture(64, 64, 0)).unwrap().is_empty());
}

#[test]
fn thousands_of_boxes_over_the_threshold_are_cut_to_the_limits() {
    // 640x640: 8400 cells, all sure of themselves, every one of its own place.
    let (cells, columns) = (8400, 7);
    let mut values = vec![0.0; cells * columns];
    values.chunks_exact_mut(columns).for_each(|cell| cell[2..].copy_from_slice(&[-9.0, -9.0, 0.9, 0.9, 0.8]));
    let shape = [1, 8400, 7];
    let model =
        Model::new([1, 3, 640, 640]).constant("output", &shape, Constant::Values(values)).metadata("names", NAMES);
    for (limit, wanted) in [(300, 300), (5, 5), (10_000, 3000)] {
        let mut detector = load_as(&model, |config| config.max_detections = limit).unwrap();
        let found = detect(&mut detector, &picture(640, 640, 9)).unwrap();
        assert_eq!(found.len(), wanted);
        assert!(found.is_sorted_by(|a, b| a.score >= b.score));
    }
}

#[test]
fn models_without_classes_or_boxes_are_refused_with_a_reason() {
    let model = |shape: &[i64]| Model::new([1, 3, SIDE, SIDE]).output("output", shape);
    for (shape, says) in [
        (&[1, 4, 84][..], "at least 5 rows"),
        (&[1, 84, 5], "at least 6 columns"),
        (&[1, 0, 6], "of no family"),
        (&[1, 6, 0], "of no family"),
        (&[0], "of no family"),
        (&[1, 84], "of no family"),
    ] {
        let error = load(model(shape)).err().unwrap_or_else(|| panic!("{shape:?} is taken")).to_string();
        assert!(error.contains(says) && error.contains("Known families: "), "{shape:?}: {error}");
        assert!(error.contains("input images: float32 [1, 3, 64, 64]"), "{error}");
    }
}

#[test]
fn labels_longer_or_shorter_than_the_classes_are_refused() {
    for labels in [vec!["one"], vec!["one", "two", "three"]] {
        let list = LabelsConfig::List(labels.iter().map(ToString::to_string).collect());
        let error = load_as(&yolo(&[]), |config| config.labels = Some(list.clone())).err().unwrap().to_string();
        assert!(error.contains(&format!("{} label", labels.len())) && error.contains("2 classes"), "{error}");
    }
}

#[test]
fn inputs_of_other_types_layouts_and_batches_are_fed() {
    let values = |count: usize| (0..count).flat_map(|_| [0.0, 0.0, 1.0, 1.0, 0.9, 0.9, 0.0]).collect::<Vec<f32>>();
    let x = |model: Model, batch: i64| {
        model.constant("output", &[batch, 84, 7], Constant::Values(values(84 * usize::try_from(batch).unwrap())))
    };
    for model in [
        x(Model::default().input("images", UINT8, &[1, SIDE, SIDE, 3]), 1),
        x(Model::default().input("images", crate::onnx::FLOAT16, &[1, 3, SIDE, SIDE]), 1),
        x(Model::new([1, SIDE, SIDE, 3]), 1),
        x(Model::new([4, 3, SIDE, SIDE]), 4),
    ] {
        let mut detector = load(model).unwrap();
        assert!(!detect(&mut detector, &picture(100, 80, 7)).unwrap().is_empty());
    }
}

#[test]
fn the_configuration_decides_what_the_model_sees() {
    use sightwire::inference::{Channels, Padding, PerChannel, Resize};
    // The model's boxes are the picture itself: 8 anchors of a 2x8 input, a row of it each value.
    let mirror =
        Model::default().input("images", crate::onnx::FLOAT, &[1, 3, 2, 8]).mirror("output0", &[1, 6, 8], "images");
    let mirror = mirror.metadata("names", NAMES);
    // Rows of the output: red above and below, green above and below (the box), blue above and below (the scores).
    let mut frame = picture(2, 2, 0);
    frame.bgr = [[204, 4, 2], [51, 4, 2]].concat().repeat(2);
    let found = |change: &dyn Fn(&mut ModelConfig)| {
        let mut detector = load_as(&mirror, |config| {
            config.family = sightwire::inference::FamilyChoice::Yolo;
            config.iou = 1.0;
            change(config);
        })
        .unwrap();
        detect(&mut detector, &frame).unwrap().iter().map(|d| (d.score * 255.0).round()).collect::<Vec<_>>()
    };
    // As the family has it: RGB, centred on grey 114, by 255. Two columns of picture, six of grey at 114 / 255.
    assert_eq!(found(&|_| {}), [204.0, 114.0, 114.0, 114.0, 114.0, 114.0, 114.0]);
    assert_eq!(
        found(&|c| c.input.pad = Some(PerChannel::Each([0.0, 0.0, 153.0]))),
        [204.0, 153.0, 153.0, 153.0, 153.0, 153.0, 153.0]
    );
    assert_eq!(found(&|c| c.input.channels = Some(Channels::Bgr)), [114.0; 6]);
    assert_eq!(found(&|c| c.input.resize = Some(Resize::Stretch)), [204.0, 204.0, 185.0, 147.0, 108.0]);
    assert_eq!(found(&|c| c.input.std = Some(PerChannel::Same(500.0))), [104.0]);
    let moved = found(&|c| {
        c.input.padding = Some(Padding::TopLeft);
        c.input.mean = Some(PerChannel::Same(90.0));
    });
    assert_eq!(moved, [114.0]);
}

#[test]
fn a_size_can_be_given_to_a_model_that_leaves_it_open() {
    let model = Model::new([-1, 3, -1, -1]).output("output0", &[1, 6, 84]).metadata("names", NAMES);
    let sized = |size| load_as(&model, |config| config.input.size = Some(size));
    let info = sized([96, 64]).unwrap().info();
    assert_eq!((info.width, info.height), (96, 64));
    // One that cannot take every size says which it was given, and where to set another.
    let picky = Model::new([1, 3, -1, -1]).mirror("output0", &[1, 6, 8], "images").metadata("names", NAMES);
    let error = load_as(&picky, |_| {}).err().unwrap().to_string();
    assert!(error.contains("tried with 640x640") && error.contains("size: [width, height]"), "{error}");
    assert!(load_as(&picky, |config| config.input.size = Some([8, 2])).is_ok());
    let fixed = Model::new([1, 3, SIDE, SIDE]).output("output0", &[1, 6, 84]).metadata("names", NAMES);
    let error = load_as(&fixed, |config| config.input.size = Some([320, 320])).err().unwrap().to_string();
    assert!(error.contains("asks for 320x320") && error.contains("made for 64x64"), "{error}");
}

#[test]
fn inputs_beside_the_picture_are_fed_or_named() {
    use crate::onnx::INT64;
    let detr = |name: &str, shape: &[i64], kind: u64| yolo(&[WHOLE]).input(name, kind, shape);
    for (name, shape, kind) in [
        ("orig_target_sizes", &[1, 2][..], INT64),
        ("im_shape", &[-1, 2], crate::onnx::FLOAT),
        ("pixel_mask", &[1, SIDE, SIDE], INT64),
    ] {
        assert_eq!(
            detect(&mut load(detr(name, shape, kind)).unwrap(), &picture(64, 64, 0)).unwrap().len(),
            1,
            "{name}"
        );
    }
    for (name, shape, says) in [
        ("anchors", &[9, 2][..], "beside the picture it wants `anchors`"),
        ("orig_target_sizes", &[1, 7], "of another shape"),
        ("other", &[1, 3, SIDE, SIDE], "one picture input is expected, this model has 2"),
    ] {
        let error = load(detr(name, shape, crate::onnx::FLOAT)).err().unwrap().to_string();
        assert!(error.contains(says) && error.contains("images: float32"), "{error}");
    }
}
