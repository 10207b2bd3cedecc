"""Reference detections of Ultra-Light face (RFB-320), read as its own project's ONNX script reads them.

  python3 tests/golden/ultraface_reference.py ../shared/data    (see common.py)

After Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB (MIT), run_video_face_detect_onnx.py at 0f9ca4a and
vision/utils/box_utils_numpy.py at 72957f4: RGB stretched to 320 x 240 (cv2.resize, linear), (x - 127) / 128; boxes are fractions
already, class 1 is the face (here class 0: the background is no class); suppression at IoU 0.5, the best 200.
The script cuts its boxes to whole pixels to draw them; here they are not cut. The order of its steps is kept: a hundred-thousandth
that it adds to the union of fractions makes overlaps of small faces count for less.
"""
import cv2
import numpy as np

from common import KEPT, main

IOU, EPSILON = 0.5, 1e-5


def suppress(boxes, scores):
    order, keep = np.argsort(scores)[::-1][:200], []
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), 1)
    while order.size:
        top, rest = order[0], order[1:]
        keep.append(top)
        low, high = np.maximum(boxes[top, :2], boxes[rest, :2]), np.minimum(boxes[top, 2:], boxes[rest, 2:])
        inter = np.prod(np.maximum(high - low, 0), 1)
        order = rest[inter / (area[top] + area[rest] - inter + EPSILON) <= IOU]
    return keep


def detect(run, image):
    rgb = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), (320, 240))
    scores, boxes = run(((rgb - np.array([127, 127, 127])) / 128).transpose(2, 0, 1)[None])
    scores, boxes = scores[0][:, 1], boxes[0]
    kept = np.flatnonzero(scores > KEPT)
    return [(0, scores[i], boxes[i]) for i in kept[suppress(boxes[kept], scores[kept])]]


main("version-RFB-320", detect,
     {"project": "Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB", "licence": "MIT",
      "commit": "0f9ca4a9fc80170fd505168fd1132b837141f7df",
      "files": ["run_video_face_detect_onnx.py", "vision/utils/box_utils_numpy.py"]},
     {"iou": IOU, "class_agnostic_nms": False})
