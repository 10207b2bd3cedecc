"""Reference detections of YOLOX-nano, decoded as Megvii's demo/ONNXRuntime does it, on the stills of ../shared/data.

  pip install onnxruntime==1.31.1 opencv-python-headless numpy
  python3 tests/golden/yolox_reference.py ../shared/data > tests/golden/yolox_nano_416.json

The letterbox, grid decoding and suppression below follow demo/ONNXRuntime/onnx_inference.py and yolox/utils/demo_utils.py of
Megvii-BaseDetection/YOLOX (Apache-2.0): BGR 0..255, top left on grey 114, cv2.INTER_LINEAR, class-wise NMS at IoU 0.5, score 0.3.
"""
import json
import pathlib
import sys

import cv2
import numpy as np
import onnxruntime as ort

SIDE, SCORE, IOU = 416, 0.3, 0.5


def letterbox(image):
    height, width = image.shape[:2]
    ratio = min(SIDE / height, SIDE / width)
    padded = np.full((SIDE, SIDE, 3), 114, np.uint8)
    resized = cv2.resize(image, (round(width * ratio), round(height * ratio)), interpolation=cv2.INTER_LINEAR)
    padded[: resized.shape[0], : resized.shape[1]] = resized
    return padded.transpose(2, 0, 1)[None].astype(np.float32), ratio


def decode(output):
    grids, strides = [], []
    for stride in (8, 16, 32):
        side = SIDE // stride
        x, y = np.meshgrid(np.arange(side), np.arange(side))
        grids.append(np.stack((x, y), 2).reshape(-1, 2))
        strides.append(np.full((side * side, 1), stride))
    grid, stride = np.concatenate(grids), np.concatenate(strides)
    centre = (output[:, :2] + grid) * stride
    half = np.exp(output[:, 2:4]) * stride / 2
    return np.concatenate((centre - half, centre + half), 1), output[:, 4:5] * output[:, 5:]


def suppress(boxes, scores):
    order, keep = scores.argsort()[::-1], []
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    while order.size:
        best, rest = order[0], order[1:]
        keep.append(best)
        low, high = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        inter = np.prod(np.maximum(high - low, 0), 1)
        order = rest[inter / (area[best] + area[rest] - inter) <= IOU]
    return keep


def main():
    data = pathlib.Path(sys.argv[1])
    session = ort.InferenceSession(data / "models/yolox_nano_416.onnx", providers=["CPUExecutionProvider"])
    result = {}
    for path in sorted((data / "images").glob("*.jpg")):
        image = cv2.imread(str(path))
        planes, ratio = letterbox(image)
        boxes, scores = decode(session.run(None, {session.get_inputs()[0].name: planes})[0][0])
        height, width = image.shape[:2]
        found = []
        for label in range(scores.shape[1]):
            mask = scores[:, label] >= SCORE
            kept = boxes[mask]
            for index in suppress(kept, scores[mask, label]):
                box = kept[index] / ratio / [width, height, width, height]
                found.append({"class_id": label, "score": round(float(scores[mask, label][index]), 4),
                              "bbox": [round(float(v), 5) for v in box.clip(0, 1)]})
        result[path.name] = sorted(found, key=lambda d: -d["score"])
    json.dump(result, sys.stdout, indent=1)
    print()


main()
