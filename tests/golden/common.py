"""What the reference scripts share: the pictures, the suppression, the run, the golden file.

  pip install onnxruntime==1.31.1 opencv-python-headless numpy
  for script in tests/golden/*_reference.py; do python3 $script ../shared/data; done

A script says how its model's own project prepares a picture and reads the outputs; this module runs it over the stills of
../shared/data/images and over odd pictures cut from them, and writes tests/golden/<model>.json. Nothing here is Sightwire's:
the arithmetic is numpy's, the scaling OpenCV's.

Boxes are kept down to KEPT, below the REQUIRED score of the comparison, so that "none is extra" can be held at REQUIRED itself.
"""
import json
import pathlib
import sys

import cv2
import numpy as np
import onnxruntime as ort

REQUIRED, KEPT = 0.3, 0.28
STILLS = ["bus.jpg", "dog.jpg", "face1.jpg", "face9.jpg", "fd1.jpg", "fd3.jpg", "person.jpg"]
# Name, still, edit. Edits move whole pixels only, so that tests/reference.rs makes the same picture to the bit.
ODD = [
    ("portrait, odd sides", "bus.jpg", {"crop": [29, 381, 237, 613]}),
    ("wide strip, odd sides", "face1.jpg", {"crop": [1, 150, 719, 201]}),
    ("tall strip", "dog.jpg", {"crop": [127, 196, 207, 360]}),
    ("tiny", "fd1.jpg", {"crop": [240, 60, 61, 43]}),
    ("one pixel", "dog.jpg", {"crop": [300, 300, 1, 1]}),
    ("grey", "dog.jpg", {"grey": True}),
    ("8K", "dog.jpg", {"repeat": 10}),
]


def edited(image, edit):
    if "crop" in edit:
        x, y, w, h = edit["crop"]
        image = image[y:y + h, x:x + w]
    if edit.get("grey"):
        image = np.repeat(image[:, :, 1:2], 3, axis=2)
    if "repeat" in edit:
        image = image.repeat(edit["repeat"], 0).repeat(edit["repeat"], 1)
    return np.ascontiguousarray(image)


def suppress(boxes, scores, limit, border=0.0, best=None):
    """Greedy suppression; `border` is the pixel that older code adds to every side."""
    order, keep = np.argsort(-scores, kind="stable")[:best], []
    area = (boxes[:, 2] - boxes[:, 0] + border) * (boxes[:, 3] - boxes[:, 1] + border)
    while order.size:
        top, rest = order[0], order[1:]
        keep.append(int(top))
        low, high = np.maximum(boxes[top, :2], boxes[rest, :2]), np.minimum(boxes[top, 2:], boxes[rest, 2:])
        inter = np.prod(np.maximum(high - low + border, 0), 1)
        order = rest[inter / (area[top] + area[rest] - inter) <= limit]
    return keep


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def main(model, detect, provenance, settings):
    """`detect(run, image)` gives (class, score, [x0, y0, x1, y1] in fractions of the picture), unclipped."""
    data = pathlib.Path(sys.argv[1])
    ort.set_default_logger_severity(3)
    session = ort.InferenceSession(data / f"models/{model}.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(planes):
        return session.run(None, {name: np.ascontiguousarray(planes, np.float32)})

    pictures = []
    for title, still, edit in [(None, still, {}) for still in STILLS] + ODD:
        image = edited(cv2.imread(str(data / "images" / still)), edit)
        found = []
        for label, score, box in sorted(detect(run, image), key=lambda d: -d[1]):
            if score > KEPT:
                found.append({"class_id": int(label), "score": round(float(score), 4),
                              "bbox": [round(float(v), 5) for v in np.clip(box, 0, 1)]})
        pictures.append({"title": title or still, "image": still, "edit": edit, "boxes": found})
    made_by = {"script": f"tests/golden/{pathlib.Path(sys.argv[0]).name}", "onnxruntime": ort.__version__,
               "opencv": cv2.__version__, "numpy": np.__version__, "kept_above": KEPT, "required_above": REQUIRED}
    write(pathlib.Path(__file__).with_name(f"{model}.json"),
          {"model": f"{model}.onnx", "provenance": provenance | made_by, "settings": settings, "pictures": pictures})


def write(path, golden):
    """JSON with a box a line: a change of the reference is read in the diff."""
    pictures = golden.pop("pictures")
    head = json.dumps(golden, indent=1)[:-2]
    parts = []
    for picture in pictures:
        boxes = ",\n   ".join(json.dumps(b) for b in picture.pop("boxes"))
        boxes = f"[\n   {boxes}\n  ]" if boxes else "[]"
        parts.append(f'  {json.dumps(picture)[:-1]}, "boxes": {boxes}}}')
    path.write_text(f'{head},\n "pictures": [\n' + ",\n".join(parts) + "\n ]\n}\n")
    print(path, sum(p.count("class_id") for p in parts), "boxes")
