"""Our tracks beside those of the ByteTrack in the Python package `supervision`, on the very same detections.

  python3 -m venv ../pyenv && ../pyenv/bin/pip install -r tests/golden/tracking-requirements.txt
  ../pyenv/bin/python tests/golden/tracking.py detect ../shared/data   # the clips' detections -> tests/golden/tracking_*.json
  ../pyenv/bin/python tests/golden/tracking.py clips                   # supervision's ids on them, into the same files
  ../pyenv/bin/python tests/golden/tracking.py scenes                  # the synthetic scene -> tests/golden/tracking_scenes.json

supervision took its ByteTrack out after 0.30: the last version that has it is pinned. It is set to what ours is set to: sure
from 0.4 on (`track_activation_threshold`), a track begins there too (`det_thresh`, which it puts 0.1 higher by itself),
confirmed at the second find in a row also at the start (`minimum_consecutive_frames=2`), 30 frames of 1/30 s of patience
(`lost_track_buffer` and `frame_rate`), its own matching threshold. Ours matches within a class, so there is one ByteTrack
a class.

The detections are those of YOLOX-nano, decoded as Megvii's demo/ONNXRuntime does it (see yolox_reference.py), and of
Ultra-Light face on the clip of faces; every frame, from 0.1 on. The scene's come from `cargo run --example noisy_scene`, which also prints our tracks.
"""
import json
import pathlib
import subprocess
import sys
import warnings

import numpy as np

HERE = pathlib.Path(__file__).parent
CLIPS = {
    "person-bicycle-car-detection.mp4": ("yolox_nano_416.onnx", "tracking_street.json"),
    "car-detection.mp4": ("yolox_nano_416.onnx", "tracking_cars.json"),
    "faces-pan-640x480.mp4": ("version-RFB-320.onnx", "tracking_faces.json"),
}
SIDE, LEAST, SURE, NMS = 416, 0.1, 0.4, 0.5


# Detections of a clip.

def letterbox(image):
    import cv2
    ratio = min(SIDE / image.shape[0], SIDE / image.shape[1])
    padded = np.full((SIDE, SIDE, 3), 114, np.uint8)
    small = cv2.resize(image, (round(image.shape[1] * ratio), round(image.shape[0] * ratio)), interpolation=cv2.INTER_LINEAR)
    padded[: small.shape[0], : small.shape[1]] = small
    return padded.transpose(2, 0, 1)[None].astype(np.float32), ratio


def decode(output):
    grid, stride = [], []
    for step in (8, 16, 32):
        x, y = np.meshgrid(np.arange(SIDE // step), np.arange(SIDE // step))
        grid.append(np.stack((x, y), 2).reshape(-1, 2))
        stride.append(np.full((grid[-1].shape[0], 1), step))
    grid, stride = np.concatenate(grid), np.concatenate(stride)
    centre, half = (output[:, :2] + grid) * stride, np.exp(output[:, 2:4]) * stride / 2
    return np.concatenate((centre - half, centre + half), 1), output[:, 4:5] * output[:, 5:]


def suppress(boxes, scores):
    order, keep = scores.argsort()[::-1], []
    area = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
    while order.size:
        best, rest = order[0], order[1:]
        keep.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        inter = np.prod(np.maximum(high - low, 0), 1)
        order = rest[inter / (area[best] + area[rest] - inter) <= NMS]
    return keep


def yolox(session, image):
    """Class, score and corners in pixels."""
    planes, ratio = letterbox(image)
    boxes, scores = decode(session.run(None, {session.get_inputs()[0].name: planes})[0][0])
    for label in range(scores.shape[1]):
        mask = scores[:, label] >= LEAST
        kept, score = boxes[mask], scores[mask, label]
        yield from ((label, score[at], kept[at] / ratio) for at in suppress(kept, score))


def ultraface(session, image):
    """As in Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB: RGB, (x - 127) / 128, stretched."""
    import cv2
    planes = (cv2.cvtColor(cv2.resize(image, (320, 240)), cv2.COLOR_BGR2RGB).astype(np.float32) - 127) / 128
    scores, boxes = session.run(["scores", "boxes"], {session.get_inputs()[0].name: planes.transpose(2, 0, 1)[None]})
    mask = scores[0, :, 1] >= LEAST
    kept, score = boxes[0][mask], scores[0, mask, 1]
    size = [image.shape[1], image.shape[0]] * 2
    yield from ((0, score[at], kept[at] * size) for at in suppress(kept, score))


def detect(data):
    import cv2
    import onnxruntime
    for clip, (model, golden) in CLIPS.items():
        session = onnxruntime.InferenceSession(data / "models" / model, providers=["CPUExecutionProvider"])
        find = ultraface if "RFB" in model else yolox
        video = cv2.VideoCapture(str(data / "videos" / clip))
        fps, frames = video.get(cv2.CAP_PROP_FPS), []
        while True:
            more, image = video.read()
            if not more:
                break
            height, width = image.shape[:2]
            found = []
            for label, score, box in find(session, image):
                box = (box / [width, height, width, height]).clip(0, 1)
                found.append([label, round(float(score) * 1e4), *(round(float(v) * 1e4) for v in box)])
            frames.append(sorted(found, key=lambda d: -d[1]))
        write(golden, {
            "clip": clip, "model": model, "fps": fps, "width": width, "height": height,
            "detection": "class, score and corners in ten-thousandths", "frames": frames,
        })


# supervision's ByteTrack.

class PerClass:
    """One ByteTrack a class, whose ids do not meet."""

    def __init__(self, fps):
        self.fps, self.trackers = fps, {}

    def new(self):
        import supervision
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tracker = supervision.ByteTrack(track_activation_threshold=SURE, lost_track_buffer=30,
                                            frame_rate=self.fps, minimum_consecutive_frames=2)
        tracker.det_thresh = SURE
        return tracker

    def update(self, found):
        """Ids of the detections (`[class, score, x0, y0, x1, y1]`, in pixels) in their order; 0 = none."""
        import supervision
        ids = np.zeros(len(found), int)
        for label in {int(d[0]) for d in found} | set(self.trackers):
            tracker = self.trackers.setdefault(label, self.new())
            at = np.array([i for i, d in enumerate(found) if d[0] == label], int)
            rows = np.array([found[i] for i in at], float).reshape(-1, 6)
            kept = tracker.update_with_detections(supervision.Detections(
                xyxy=rows[:, 2:], confidence=rows[:, 1], class_id=np.full(len(at), label), data={"at": at}))
            if len(kept):
                ids[kept.data["at"]] = kept.tracker_id + 1000 * label
        return [int(i) for i in ids]


def clips():
    import supervision
    for _, golden in CLIPS.values():
        content = json.loads((HERE / golden).read_text())
        scale = np.array([content["width"], content["height"]] * 2) / 1e4
        steps = {}
        for step in (1, 3):
            tracker = PerClass(content["fps"] / step)
            pixels = [[[d[0], d[1] / 1e4, *(d[2:] * scale)] for d in frame] for frame in content["frames"][::step]]
            steps[str(step)] = [tracker.update(frame) for frame in pixels]
            print(golden, f"every {step}:", len({i for frame in steps[str(step)] for i in frame if i}), "identities")
        content["tracker"] = f"supervision {supervision.__version__}, ByteTrack a class, ids by step in frames"
        content["ids"] = steps
        write(golden, content)


def write(name, content):
    """One frame a line: compact, and a change can be read."""
    lines = []
    for key, value in content.items():
        if key == "frames":
            text = "[\n" + ",\n".join(json.dumps(frame, separators=(",", ":")) for frame in value) + "\n]"
        else:
            text = json.dumps(value, separators=(",", ":"))
        lines.append(f'"{key}": {text}')
    (HERE / name).write_text("{" + ",\n".join(lines) + "}\n")


# The synthetic scene, where the truth is known.

def measured(frames, ids):
    """MOTA, IDF1 and ID switches of the tracked boxes, by motmetrics: a pair overlaps by half at least."""
    import motmetrics
    book = motmetrics.MOTAccumulator(auto_id=True)
    for frame, said in zip(frames, ids):
        truth = np.array([t[1:] for t in frame["truth"]], float).reshape(-1, 4)
        tracked = np.array([d[2:] for d, i in zip(frame["found"], said) if i], float).reshape(-1, 4)
        distances = 1 - overlap(truth, tracked)
        distances[distances > 0.5] = np.nan
        book.update([t[0] for t in frame["truth"]], [i for i in said if i], distances)
    row = motmetrics.metrics.create().compute(
        book, metrics=["mota", "idf1", "num_switches", "num_unique_objects", "num_fragmentations"]).iloc[0]
    return {"mota": round(float(row.mota), 4), "idf1": round(float(row.idf1), 4), "switches": int(row.num_switches),
            "objects": int(row.num_unique_objects), "identities": len({i for frame in ids for i in frame if i})}


def overlap(a, b):
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = np.prod(np.maximum(high - low, 0), 2)
    area = lambda r: np.prod(r[:, 2:] - r[:, :2], 1)
    return inter / (area(a)[:, None] + area(b)[None] - inter)


def scenes():
    import supervision
    run = subprocess.run(["cargo", "run", "-q", "--example", "noisy_scene"], cwd=HERE, check=True, stdout=subprocess.PIPE)
    result = []
    for line in run.stdout.splitlines():
        scene = json.loads(line)
        tracker = PerClass(scene["fps"])
        scale = np.array([640, 480] * 2)
        ids = [tracker.update([[*d[:2], *(np.array(d[2:]) * scale)] for d in frame["found"]]) for frame in scene["frames"]]
        ours = [frame["ids"] for frame in scene["frames"]]
        row = {"scene": scene["scene"], "theirs": measured(scene["frames"], ids), "ours": measured(scene["frames"], ours)}
        result.append({**row, "ids": ids})
        for who in ("theirs", "ours"):
            print(f'{scene["scene"]:<28} {who:<7}', row[who])
    body = ",\n".join(json.dumps(row, separators=(",", ":")) for row in result)
    provenance = json.dumps(f"supervision {supervision.__version__}, ByteTrack a class; measured by motmetrics")
    (HERE / "tracking_scenes.json").write_text(f'{{"tracker": {provenance},\n"scenes": [\n{body}\n]}}\n')


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "detect" and len(sys.argv) == 3:
        detect(pathlib.Path(sys.argv[2]))
    elif what in ("clips", "scenes"):
        globals()[what]()
    else:
        sys.exit(__doc__)
