"""Measures an ONNX file on scenes it was not trained on: mean average precision at IoU 0.5, and time.

    python models/evaluate.py [--model models/shapes.onnx] [--scenes 40]
"""

import argparse
import time
from pathlib import Path

import numpy as np
import onnxruntime

import net
import pictures

SIZES = [(640, 480), (320, 240), (1280, 720), (1920, 1080), (64, 48), (333, 777)]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, default=pictures.ROOT / "models" / "shapes.onnx")
    options.add_argument("--scenes", type=int, default=40, help="of five frames each, for every size")
    options.add_argument("--profile", choices=["release", "debug"], default="release", help="of the renderer's build")
    options = options.parse_args()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(options.model, settings, providers=["CPUExecutionProvider"])
    print("metadata:", session.get_modelmeta().custom_metadata_map)
    image = np.zeros((1, 3, net.SIZE, net.SIZE), np.float32)
    times = []
    for _ in range(60):
        began = time.perf_counter()
        session.run(None, {"images": image})
        times.append(1000 * (time.perf_counter() - began))
    print(f"inference, one thread: {sorted(times)[len(times) // 2]:.1f} ms (median)")

    command = pictures.build_renderer(options.profile)
    print("size        objects  mAP@0.5 conf 0.05  conf 0.4  | at 0.4: precision  recall  mean score")
    for width, height in SIZES:
        found, wanted = collect(session, pictures.Renderer(command), width, height, options.scenes)
        loose, strict = (mean_average_precision(found, wanted, confidence) for confidence in (0.05, 0.4))
        precision, recall, score = at_threshold(found, wanted, 0.4)
        objects = sum(len(truth) for truth in wanted)
        print(f"{width:4}x{height:<5} {objects:8}  {loose:17.3f}  {strict:8.3f}  | {precision:17.3f}  {recall:6.3f}  {score:10.2f}")


def collect(session, renderer, width, height, scenes):
    """Detections [n, 6] (class, x0, y0, x1, y1, score) and truth [m, 5] for each frame, in the frame's pixels."""
    found, wanted = [], []
    for scene in range(scenes):
        seed = pictures.EVALUATION_SEED + scene
        for picture, truth in renderer.frames(width, height, seed, 3 + scene % 5, 7 * scene, 31, 5):
            found.append(detect(session, picture))
            wanted.append(truth)
    renderer.close()
    return found, wanted


def detect(session, picture, confidence=0.05, overlap=0.5):
    square, _, scale, (left, top) = pictures.letterbox(picture, np.zeros((0, 5), np.float32), net.SIZE)
    images = square.transpose(2, 0, 1)[None].astype(np.float32) / 255
    output = session.run(None, {"images": images})[0][0].T
    labels, scores = output[:, 4:].argmax(1), output[:, 4:].max(1)
    keep = scores >= confidence
    output, labels, scores = output[keep], labels[keep], scores[keep]
    middle, half = output[:, :2], output[:, 2:4] / 2
    boxes = (np.concatenate([middle - half, middle + half], 1) - [left, top, left, top]) / scale
    boxes = boxes.clip(0, [picture.shape[1], picture.shape[0]] * 2)
    kept = []
    for i in np.argsort(-scores):
        if all(labels[i] != labels[j] or iou(boxes[i], boxes[j]) <= overlap for j in kept):
            kept.append(i)
    return np.concatenate([labels[kept, None], boxes[kept], scores[kept, None]], 1)


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return width * height / (area(a) + area(b) - width * height)


def matched(found, wanted, label, confidence):
    """(score, is true) of every detection of a class, best first: each true box counts once."""
    taken, result = set(), []
    rows = [(d, frame) for frame, ds in enumerate(found) for d in ds if d[0] == label and d[5] >= confidence]
    for d, frame in sorted(rows, key=lambda row: -row[0][5]):
        options = [(iou(d[1:5], t[1:]), (frame, i)) for i, t in enumerate(wanted[frame]) if t[0] == label]
        best, which = max((o for o in options if o[1] not in taken), default=(0, None))
        if best >= 0.5:
            taken.add(which)
        result.append((d[5], best >= 0.5))
    return result


def mean_average_precision(found, wanted, confidence):
    """The area under the precision-recall curve made monotone, averaged over the classes."""
    precisions = []
    for label in range(len(net.LABELS)):
        total = sum((truth[:, 0] == label).sum() for truth in wanted)
        hits = np.cumsum([true for _, true in matched(found, wanted, label, confidence)])
        precision = np.maximum.accumulate((hits / np.arange(1, len(hits) + 1))[::-1])[::-1]
        precisions.append((np.diff(hits, prepend=0) * precision).sum() / total)
    return float(np.mean(precisions))


def at_threshold(found, wanted, confidence):
    rows = [row for label in range(len(net.LABELS)) for row in matched(found, wanted, label, confidence)]
    hits = sum(true for _, true in rows)
    objects = sum(len(truth) for truth in wanted)
    return hits / max(1, len(rows)), hits / objects, float(np.mean([s for s, true in rows if true] or [0]))


if __name__ == "__main__":
    main()
