"""A zoo of tiny ONNX models in the shapes that people's exporters give them, and what is to be found with each.

  pip install onnx onnxruntime==1.31.1 numpy
  python3 tests/golden/zoo.py            # writes tests/golden/zoo/*.onnx and zoo.json; the same bytes every time

A model here knows no objects: it looks at three pixels of its input, and answers boxes that were planted in it. A box's score
falls by how far its pixel is from what the family's preparation makes of the test picture there: so a model that is fed in
another channel order, scale, padding or stretch than its exporter's own code feeds it does not find its boxes. The planted boxes
are fractions of the picture, brought into the model's units by the few lines of numpy below; what Sightwire is to find
(tests/families.rs) is what was planted, not what it or ONNX Runtime once answered. Every model is run here once too.

Shapes, names and metadata follow the exporters' public sources: Ultralytics engine/exporter.py (v5, v8, v10, 11, 26, RT-DETR),
WongKinYiu/yolov7 export.py, meituan/YOLOv6 deploy/ONNX, Megvii YOLOX tools/export_onnx.py, lyuwenyu/RT-DETR
tools/export_onnx.py (D-FINE and DEIM the same), Hugging Face optimum (`pixel_values`, `logits`, `pred_boxes`), roboflow/rf-detr,
TensorFlow's object detection API through tf2onnx, the ONNX model zoo's SSD, torchvision, qfgaohao/pytorch-ssd.
"""
import json
import pathlib

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as h

OUT = pathlib.Path(__file__).with_name("zoo")
# The test picture: three upright bands of 40 x 80 pixels, blue green red. tests/families.rs paints the same.
BANDS, WIDTH, HEIGHT = [(30, 90, 210), (200, 60, 120), (90, 180, 40)], 120, 80
# Score, box in fractions of the picture, the pixel it looks at (x and y in fractions of the *input*), which class.
CENTRE, TOP, BOTTOM = (0.5, 0.5), (1 / 6, 1 / 16), (1 / 6, 15 / 16)
PLANTED = [
    (0.90, [0.125, 0.25, 0.5, 0.75], CENTRE, 0),
    (0.80, [0.55, 0.1, 0.95, 0.9], TOP, 1),
    (0.70, [-0.1, 0.6, 0.3, 1.2], BOTTOM, 2),   # hangs out of the picture
    (0.60, [0.15, 0.25, 0.52, 0.75], None, 0),  # lies on the first, of its class
    (0.20, [0.4, 0.4, 0.6, 0.6], None, 1),      # below the confidence
]
COCO = ["car", "person", "dog"]
IDS80, IDS91 = [2, 0, 16], [3, 1, 18]
NAMES = ["cat", "driver's seat", "sports ball"]
IMAGENET = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]}


def python_dict(names):
    return "{" + ", ".join(f"{i}: {n!r}" for i, n in enumerate(names)) + "}"


class Prepared:
    """How the exporter's own code feeds the model, and so what a pixel and a box become."""

    def __init__(self, width, height, how="centre", rgb=True, pad=114, mean=(0, 0, 0), std=(255, 255, 255)):
        self.width, self.height, self.how, self.rgb, self.pad = width, height, how, rgb, pad
        self.mean, self.std = np.array(mean, np.float64), np.array(std, np.float64)
        self.scale = np.array([width / WIDTH, height / HEIGHT])
        self.offset = np.zeros(2)
        if how != "stretch":
            self.scale[:] = self.scale.min()
            if how == "centre":
                self.offset = (np.array([width, height]) - np.round(self.scale * [WIDTH, HEIGHT])) // 2

    def pixel(self, at):
        """What the input holds there, channel by channel."""
        place = (np.array([int(at[0] * self.width), int(at[1] * self.height)]) + 0.5 - self.offset) / self.scale
        inside = 0 <= place[0] < WIDTH and 0 <= place[1] < HEIGHT
        colour = np.array(BANDS[int(place[0] // 40)] if inside else [self.pad] * 3, np.float64)
        return ((colour[::-1] if self.rgb else colour) - self.mean) / self.std

    def box(self, fractions):
        """Corners in the input's pixels."""
        corners = np.array(fractions).reshape(2, 2) * [WIDTH, HEIGHT] * self.scale + self.offset
        return corners.reshape(4)

    def picture(self):
        """The whole input, for the run that tries the model here: nearest pixels are enough, bands are wide."""
        x, y = np.meshgrid(np.arange(self.width), np.arange(self.height))
        x, y = (x + 0.5 - self.offset[0]) / self.scale[0], (y + 0.5 - self.offset[1]) / self.scale[1]
        inside = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
        colours = np.array(BANDS, np.float64)[np.clip(x // 40, 0, 2).astype(int)]
        colours = np.where(inside[..., None], colours, self.pad)
        return ((colours[..., ::-1] if self.rgb else colours) - self.mean) / self.std


class Model:
    """A graph: picture -> three pixels -> distances -> scores among constants."""

    def __init__(self, name, prepared, input_name="images", kind=T.FLOAT, nhwc=False, dims=None, batch=1, rank=4):
        self.name, self.prepared, self.kind, self.nhwc = name, prepared, kind, nhwc
        self.nodes, self.inits, self.inputs, self.outputs, self.metadata = [], [], [], [], {}
        self.batch, self.feed = batch, {}
        w, hh = prepared.width, prepared.height
        shape = [batch, hh, w, 3] if nhwc else [batch, 3, hh, w]
        declared = (dims or shape)[4 - rank:]
        self.inputs.append(h.make_tensor_value_info(input_name, kind, declared))
        picture = prepared.picture()
        picture = picture if nhwc else picture.transpose(2, 0, 1)
        kinds = {T.FLOAT: np.float32, T.FLOAT16: np.float16, T.UINT8: np.uint8}
        self.feed[input_name] = np.stack([picture] * batch)[0 if rank == 3 else slice(None)].astype(kinds[kind])
        x = input_name
        if kind != T.FLOAT:
            x = self.add("Cast", [x], to=T.FLOAT)
        if rank == 3:
            x = self.add("Unsqueeze", [x, self.const(np.array([0]))])
        if nhwc:
            x = self.add("Transpose", [x], perm=[0, 3, 1, 2])
        self.x = x

    def add(self, op, inputs, outputs=None, **attributes):
        out = outputs or f"t{len(self.nodes)}"
        self.nodes.append(h.make_node(op, inputs, [out], **attributes))
        return out

    def const(self, array, name=None):
        name = name or f"c{len(self.inits)}"
        self.inits.append(onnx.numpy_helper.from_array(np.asarray(array), name))
        return name

    def quantised(self):
        """int8 as ONNX Runtime's static quantisation writes it: QDQ around a convolution (here the identity)."""
        # A pixel keeps within 1/255 of itself.
        scale, zero = self.const(np.float32(1 / 255)), self.const(np.uint8(0))
        q = self.add("QuantizeLinear", [self.x, scale, zero])
        x = self.add("DequantizeLinear", [q, scale, zero])
        weight = self.const((np.eye(3) * 127).astype(np.int8).reshape(3, 3, 1, 1))
        w = self.add("DequantizeLinear", [weight, self.const(np.float32(1 / 127)), self.const(np.int8(0))])
        self.x = self.add("Conv", [x, w])
        return self

    def extra(self, name, kind, shape, value):
        """An input beside the picture. The graph looks at it: boxes move if it is not what is expected."""
        self.inputs.append(h.make_tensor_value_info(name, kind, shape))
        self.feed[name] = value
        return name

    def distances(self):
        """How far each of the three pixels is from what it is to be: 0 is right, 1 is black for white."""
        if not hasattr(self, "far"):
            parts = []
            for at in (CENTRE, TOP, BOTTOM):
                x, y = int(at[0] * self.prepared.width), int(at[1] * self.prepared.height)
                pixel = self.add("Slice", [self.x, self.const(np.array([0, 0, y, x])), self.const(np.array([1, 3, y + 1, x + 1]))])
                pixel = self.add("Reshape", [pixel, self.const(np.array([3]))])
                apart = self.add("Sub", [pixel, self.const(self.prepared.pixel(at).astype(np.float32))])
                apart = self.add("Mul", [self.add("Abs", [apart]), self.const((self.prepared.std / 255 / 3).astype(np.float32))])
                parts.append(self.add("ReduceSum", [apart], keepdims=1))
            self.far = self.add("Concat", parts, axis=0)
        return self.far

    def output(self, name, shape, cells, kind=T.FLOAT, fill=0.0, declared=None, keep=None, ground=None):
        """`cells`: {index: value or (value, planted, gain)}; the latter falls by gain times the planted box's distance."""
        index = np.array(list(cells), np.int64).reshape(len(cells), len(shape))
        base, slope = np.zeros(len(cells), np.float32), np.zeros((len(cells), 3), np.float32)
        for row, value in enumerate(cells.values()):
            if isinstance(value, tuple):
                value, planted, gain = value
                looks_at = PLANTED[planted][2]
                if looks_at:
                    slope[row, [CENTRE, TOP, BOTTOM].index(looks_at)] = -gain
            base[row] = value
        updates = self.add("Add", [self.add("MatMul", [self.const(slope), self.distances()]), self.const(base)])
        ground = ground or self.add("ConstantOfShape", [self.const(np.array(shape, np.int64))],
                                    value=h.make_tensor("v", T.FLOAT, [1], [fill]))
        out = self.add("ScatterND", [ground, self.const(index), updates])
        if keep is not None:
            # Rows whose score (column `keep`) is over the export's own threshold, as suppression in the graph leaves them.
            score = self.add("Squeeze", [self.add("Slice", [out, self.const(np.array([keep])), self.const(np.array([keep + 1])), self.const(np.array([1]))]), self.const(np.array([1]))])
            out = self.add("Compress", [out, self.add("Greater", [score, self.const(np.float32(0.25))])], axis=0)
        if kind != T.FLOAT:
            out = self.add("Cast", [out], to=kind)
        self.add("Identity", [out], name)
        self.outputs.append(h.make_tensor_value_info(name, kind, declared if declared is not None else shape))
        return self

    def grid(self, count, objectness=0.0):
        """[1, cells, 5 + count] of boxes that stand where their cells stand, a stride wide, and are nothing."""
        parts = []
        for stride in (8, 16, 32):
            columns, lines = self.prepared.width // stride, self.prepared.height // stride
            at = self.add("Range", [self.const(np.int64(v)) for v in (0, columns * lines, 1)])
            width, side = self.const(np.int64(columns)), self.const(np.float32(stride))
            scaled = [self.add("Mul", [self.add("Cast", [self.add(op, [at, width])], to=T.FLOAT), side]) for op in ("Mod", "Div")]
            scaled += [self.add("Expand", [side, self.const(np.array([columns * lines]))])] * 2
            axis = self.const(np.array([0, 2]))
            parts.append(self.add("Concat", [self.add("Unsqueeze", [v, axis]) for v in scaled], axis=2))
        boxes = self.add("Concat", parts, axis=1)
        rows = self.add("Pad", [boxes, self.const(np.array([0, 0, 0, 0, 0, 1 + count]))])
        return self.add("Add", [rows, self.const(np.float32([0] * 4 + [objectness] + [0] * count))])

    def save(self):
        graph = h.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.inits)
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8, producer_name="sightwire zoo")
        h.set_model_props(model, self.metadata)
        onnx.checker.check_model(model)
        path = OUT / f"{self.name}.onnx"
        path.write_bytes(model.SerializeToString(deterministic=True))
        # Once more with the distances as an output: fed as meant, there are none.
        self.distances()
        graph.output.append(h.make_tensor_value_info(self.far, T.FLOAT, [3]))
        graph.node.extend(self.nodes[len(graph.node):])
        model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
        session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        far = session.run([self.far], self.feed)[0]
        assert (far < 0.004).all(), (self.name, far)


ENTRIES = []


def entry(model, family, classes, called, end_to_end=False, **config):
    """Writes the model, tries it, and notes what is to be found. `classes`: the ids of the three planted classes."""
    model.save()
    found = []
    for number, (score, box, _, which) in enumerate(PLANTED[:4]):
        if number == 3 and not end_to_end:
            continue  # suppressed
        found.append({"label": called[which], "class_id": classes[which], "score": score,
                      "bbox": [round(float(v), 5) for v in np.clip(box, 0, 1)]})
    ENTRIES.append({"file": f"{model.name}.onnx", "family": family, "config": config, "found": found})


def refused(model, *says):
    """A model that is no detector: the error says these words."""
    model.save()
    ENTRIES.append({"file": f"{model.name}.onnx", "refused": says})


def centred(box):
    return [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]]


def logit(p):
    return float(np.log(p / (1 - p)))


# Fractions of the model's input, as the transformers give them.
def fractions(prepared, box):
    return prepared.box(box) / [prepared.width, prepared.height, prepared.width, prepared.height]


def anchors(prepared, strides=(8, 16, 32)):
    return sum((prepared.width // s) * (prepared.height // s) for s in strides)


def transposed(model, classes, count, name="output0", extra=0, kind=T.FLOAT, declared=None):
    """YOLOv8 and kin: [1, 4 + classes (+ more), anchors]."""
    n, cells = anchors(model.prepared), {}
    for i, (score, box, _, which) in enumerate(PLANTED):
        at = 37 * i + 11
        for row, value in enumerate(centred(model.prepared.box(box))):
            cells[0, row, at] = value
        cells[0, 4 + classes[which], at] = (score, i, 4)
        for more in range(extra):
            # Mask coefficients, key points: larger than any score, and no class.
            cells[0, 4 + count + more, at] = 3.0 + more
    return model.output(name, [model.batch, 4 + count + extra, n], cells, kind, declared=declared)


def rows(model, classes, count, n, name="output0", objectness=None, step=41, raw=None, ground=None):
    """[1, N, 5 + classes]: centre, size, objectness, classes. `raw`: the stride of YOLOX's first map, its grid undone."""
    cells = {}
    for i, (score, box, _, which) in enumerate(PLANTED):
        at = step * i + 7
        values = centred(model.prepared.box(box))
        if raw:
            stride, columns = raw, model.prepared.width // raw
            column, line = at % columns, at // columns
            values = [values[0] / stride - column, values[1] / stride - line, np.log(values[2] / stride), np.log(values[3] / stride)]
        for column, value in enumerate(values):
            cells[0, at, column] = value
        # Half of the objects are sure to be there, of the others the class is sure.
        sure = objectness == 1 or i % 2 == 0
        cells[0, at, 4] = 1.0 if sure else (score, i, 4)
        cells[0, at, 5 + classes[which]] = (score, i, 4) if sure else 1.0
    return model.output(name, [1, n, 5 + count], cells, ground=ground)




def listed(model, classes, n, name="output0", more=0, declared=None):
    """[1, N, 6]: corners in pixels, score, class; suppression done."""
    cells = {}
    for i, (score, box, _, which) in enumerate(PLANTED):
        values = [*model.prepared.box(box), (score, i, 4), classes[which]] + [0.5] * more
        cells |= {(0, i, column): value for column, value in enumerate(values)}
    return model.output(name, [1, n, 6 + more], cells, declared=declared)


def apart(model, names, classes, n, box_of, label_kind=T.INT64, batch=(1,), others=0):
    """Boxes, classes and scores side by side, in the order of `names` (role, name). `others`: the class of what is nothing."""
    first = (0,) * len(batch)
    for role, name in names:
        cells, shape, kind = {}, [*batch, n], T.FLOAT
        for i, (score, box, _, which) in enumerate(PLANTED):
            if role == "boxes":
                cells |= {(*first, i, side): float(value) for side, value in enumerate(box_of(box))}
            elif role == "classes":
                cells[(*first, i)] = classes[which]
            elif role == "scores":
                cells[(*first, i)] = (score, i, 4)
            elif role == "anchors":
                cells[(*first, i)] = 1000.0 + i
        if role == "boxes":
            shape = [*shape, 4]
        if role == "count":
            shape, cells = [*batch], {first: 5.0}
        if role == "classes":
            kind = label_kind
        model.output(name, shape, cells, kind, fill=float(others) if role == "classes" else 0.0)
    return model


def queries(model, classes, count, n, names, hidden, softmax=False):
    """Logits and boxes of a transformer: centre and size in fractions. `hidden`: the logit of a class that is not there."""
    logits, boxes = {}, {}
    for i, (score, box, _, which) in enumerate(PLANTED):
        if softmax:
            # The no-object class is last. A softmax over `hidden` ones: exp(x) / (exp(x) + exp(0) + nearly nothing).
            logits[0, i, count - 1] = 0.0
        logits[0, i, classes[which]] = (logit(score), i, 20)
        for side, value in enumerate(centred(fractions(model.prepared, box))):
            boxes[0, i, side] = value
    if softmax:
        logits |= {(0, i, count - 1): 6.0 for i in range(len(PLANTED), n)}
    for role, name in names:
        if role == "logits":
            model.output(name, [1, n, count], logits, fill=hidden)
        else:
            model.output(name, [1, n, 4], boxes, fill=0.5)
    return model


def ultralytics(model, task="detect", names=NAMES, **more):
    size = [model.prepared.height, model.prepared.width]
    model.metadata |= {"description": "a model of the zoo", "author": "zoo", "stride": "32", "task": task, "batch": "1",
                       "imgsz": str(size), "names": python_dict(names)} | more
    return model


def yolos():
    ids = [2, 0, 1]
    labels = [NAMES[i] for i in ids]
    square = Prepared(640, 640)
    small, wide = Prepared(320, 320), Prepared(416, 256)
    point = [0, 0, 0]

    m = transposed(Model("yolov8", square), IDS80, 80)
    entry(m, "yolo", IDS80, COCO)
    entry(transposed(ultralytics(Model("yolo11_names", wide)), ids, 3), "yolo", ids, labels)
    m = Model("yolo11_dynamic", wide, dims=["batch", 3, "height", "width"])
    entry(transposed(ultralytics(m), ids, 3, declared=["batch", 7, "anchors"]), "yolo", ids, labels)
    m = Model("yolov8_one_class", small)
    entry(transposed(ultralytics(m, names=["helmet"]), point, 1), "yolo", point, ["helmet"] * 3)
    m = Model("yolov8_f16", small, kind=T.FLOAT16)
    entry(transposed(ultralytics(m), ids, 3, kind=T.FLOAT16), "yolo", ids, labels)
    m = Model("yolov8_f32_in_f16_out", small)
    entry(transposed(ultralytics(m), ids, 3, kind=T.FLOAT16), "yolo", ids, labels)
    m = Model("yolov8_uint8", Prepared(320, 320, std=(1, 1, 1)), kind=T.UINT8)
    entry(transposed(ultralytics(m), ids, 3), "yolo", ids, labels)
    entry(transposed(ultralytics(Model("yolov8_int8_qdq", small).quantised()), ids, 3), "yolo", ids, labels)
    entry(transposed(ultralytics(Model("yolov8_batch4", small, batch=4)), ids, 3), "yolo", ids, labels)
    m = transposed(ultralytics(Model("yolo11_segment", small), task="segment"), ids, 3, extra=32)
    entry(m.output("output1", [1, 32, 80, 80], {(0, 0, 0, 0): 1.0}), "yolo", ids, labels)
    m = ultralytics(Model("yolo11_pose", small), task="pose", names=["person"], kpt_shape="[17, 3]")
    entry(transposed(m, point, 1, extra=51), "yolo", point, ["person"] * 3)
    m = ultralytics(Model("yolo11_obb", small), task="obb")
    refused(transposed(m, ids, 3, extra=1), "oriented", "detect")
    m = ultralytics(Model("yolo11_classify", Prepared(224, 224)), task="classify")
    refused(m.output("output0", [1, 3], {(0, 1): 1.0}), "classif", "detect")

    entry(rows(Model("yolov5", square), IDS80, 80, 25200), "yolov5", IDS80, COCO)
    entry(rows(ultralytics(Model("yolov5_names", wide)), ids, 3, 3 * anchors(wide)), "yolov5", ids, labels)
    m = rows(Model("yolov7_grid", small), ids, 3, 3 * anchors(small), name="output")
    entry(m, "yolov5", ids, labels, labels=NAMES)
    m = Model("yolov6", small)
    m = rows(m, ids, 3, anchors(small), name="outputs", objectness=1, ground=m.grid(3, objectness=1.0))
    entry(m, "yolov5", ids, labels, labels=NAMES)

    megvii = Prepared(320, 320, how="corner", rgb=False, std=(1, 1, 1))
    m = Model("yolox_decoded", megvii)
    entry(rows(m, ids, 3, anchors(megvii), name="output", ground=m.grid(3)), "yolox", ids, labels, labels=NAMES)
    m = Model("yolox_raw", megvii)
    entry(rows(m, ids, 3, anchors(megvii), name="output", raw=8), "yolox", ids, labels, labels=NAMES)

    entry(listed(Model("yolov10", square), IDS80, 300), "yolo_end2end", IDS80, COCO, end_to_end=True, labels="coco")
    m = ultralytics(Model("yolo26", wide), end2end="True")
    entry(listed(m, ids, 300), "yolo_end2end", ids, labels, end_to_end=True)
    m = ultralytics(Model("yolov8_nms", small, dims=["batch", 3, 320, 320]), args="{'nms': True}")
    entry(listed(m, ids, 300, declared=["batch", 300, 6]), "yolo_end2end", ids, labels, end_to_end=True)
    m = listed(ultralytics(Model("yolo26_segment", small), task="segment", end2end="True"), ids, 300, more=32)
    entry(m.output("output1", [1, 32, 80, 80], {(0, 0, 0, 0): 1.0}), "yolo_end2end", ids, labels, end_to_end=True)
    m = Model("yolov7_end2end", small)
    cells = {}
    for i, (score, box, _, which) in enumerate(PLANTED):
        for column, value in enumerate([0, *small.box(box), ids[which], (score, i, 4)]):
            cells[i, column] = value
    m.output("output", [5, 7], cells, keep=6, declared=["rows", 7])
    entry(m, "yolo_end2end", ids, labels, end_to_end=True, labels=NAMES)
    m = Model("yolov6_end2end", small)
    m.output("num_dets", [1, 1], {(0, 0): 5.0}, T.INT32)
    names = [("boxes", "det_boxes"), ("scores", "det_scores"), ("classes", "det_classes")]
    apart(m, names, ids, 100, small.box, T.INT32)
    entry(m, "yolo_end2end", ids, labels, end_to_end=True, labels=NAMES)


def transformers():
    ids = [2, 0, 1]
    labels = [NAMES[i] for i in ids]
    square = Prepared(640, 640, how="stretch")
    wide = Prepared(416, 256, how="stretch")
    normal = Prepared(384, 384, how="stretch", **IMAGENET)

    def rt(name, prepared, classes, dims=None, others=0):
        m = Model(name, prepared, dims=dims)
        size = np.array([[prepared.width, prepared.height]], np.int64)
        sizes = m.add("Cast", [m.extra("orig_target_sizes", T.INT64, [(dims or [1])[0], 2], size)], to=T.FLOAT)
        names = [("classes", "labels"), ("boxes", "fractions_of_boxes"), ("scores", "scores")]
        apart(m, names, classes, 300, lambda box: fractions(prepared, box), others=others)
        # As the post-processor has it: fractions times the sizes it is given.
        twice = m.add("Concat", [sizes, sizes], axis=1)
        boxes = m.nodes[[n.output[0] for n in m.nodes].index("fractions_of_boxes")]
        boxes.output[0] = "raw_boxes"
        m.add("Mul", ["raw_boxes", m.add("Unsqueeze", [twice, m.const(np.array([1]))])], "boxes")
        m.outputs = [o for o in m.outputs if o.name != "fractions_of_boxes"]
        m.outputs.insert(1, h.make_tensor_value_info("boxes", T.FLOAT, [(dims or [1])[0], 300, 4]))
        return m

    entry(rt("rtdetr", square, IDS80, ["N", 3, 640, 640]), "detr", IDS80, COCO, end_to_end=True, labels="coco")
    # The guesses on nothing reach to the last class: COCO needs no naming.
    entry(rt("deim_coco", square, IDS80, ["N", 3, 640, 640], others=79), "detr", IDS80, COCO, end_to_end=True)
    numbers = [str(i) for i in ids]
    entry(rt("dfine_unnamed", wide, ids), "detr", ids, numbers, end_to_end=True)
    entry(rt("dfine_wide", wide, ids), "detr", ids, labels, end_to_end=True, labels=NAMES)

    hf = [("logits", "logits"), ("boxes", "pred_boxes")]
    open_sides = ["batch_size", "num_channels", "height", "width"]
    m = Model("hf_rtdetr", square, "pixel_values", dims=open_sides)
    entry(queries(m, IDS80, 80, 300, hf, -8.0), "detr", IDS80, COCO, end_to_end=True)
    m = Model("rtdetr_raw_unnamed", square, "input")
    unnamed = [("boxes", "2857"), ("logits", "2858")]
    entry(queries(m, IDS80, 80, 300, unnamed, -8.0), "detr", IDS80, COCO, end_to_end=True)
    m = Model("hf_dfine_names", wide, "pixel_values")
    m.metadata["id2label"] = json.dumps({str(i): name for i, name in enumerate(NAMES)})
    entry(queries(m, ids, 3, 300, hf, -8.0), "detr", ids, labels, end_to_end=True)

    m = Model("hf_detr", normal, "pixel_values")
    mask = m.extra("pixel_mask", T.INT64, [1, 384, 384], np.ones((1, 384, 384), np.int64))
    # Every pixel is picture; were it not, nothing would be found.
    seen = m.add("ReduceMin", [m.add("Cast", [mask], to=T.FLOAT)], keepdims=0)
    m.x = m.add("Mul", [m.x, seen])
    entry(queries(m, IDS91, 92, 100, hf, -30.0, softmax=True), "detr", IDS91, COCO, end_to_end=True)
    m = Model("hf_yolos", normal, "pixel_values")
    entry(queries(m, IDS91, 92, 100, hf, -30.0, softmax=True), "detr", IDS91, COCO, end_to_end=True)
    m = Model("hf_table_transformer", normal, "pixel_values")
    tables = ["table", "table rotated"]
    entry(queries(m, [1, 0, 0], 3, 15, hf, -30.0, softmax=True), "detr", [1, 0, 0], [tables[i] for i in (1, 0, 0)],
          end_to_end=True, labels=tables)

    m = Model("rfdetr", normal, "input")
    m = queries(m, IDS91, 91, 300, [("boxes", "dets"), ("logits", "labels")], -8.0)
    entry(m, "detr", IDS91, COCO, end_to_end=True)

    m = ultralytics(Model("ultralytics_rtdetr", Prepared(320, 320, how="stretch")))
    cells = {}
    for i, (score, box, _, which) in enumerate(PLANTED):
        for column, value in enumerate(centred(fractions(m.prepared, box))):
            cells[0, i, column] = value
        cells[0, i, 4 + ids[which]] = (score, i, 4)
    entry(m.output("output0", [1, 300, 7], cells), "detr", ids, labels, end_to_end=True)


def tensorflow(prepared, box):
    x0, y0, x1, y1 = fractions(prepared, box)
    return y0, x0, y1, x1


def ssds():
    ids = [3, 1, 2]
    labels = [NAMES[i - 1] for i in ids]
    square = Prepared(640, 640, how="stretch", std=(1, 1, 1))
    open_sides = [1, "height", "width", 3]

    m = Model("tf_ssd", square, "input_tensor", kind=T.UINT8, nhwc=True, dims=open_sides)
    names = [("boxes", "detection_boxes"), ("classes", "detection_classes"), ("scores", "detection_scores"),
             ("count", "num_detections")]
    apart(m, names, IDS91, 100, lambda box: tensorflow(square, box), T.FLOAT, others=90)
    entry(m, "ssd", IDS91, COCO, end_to_end=True)

    m = Model("tf1_own_labels", Prepared(300, 300, how="stretch", std=(1, 1, 1)), "image_tensor:0", kind=T.UINT8, nhwc=True)
    names = [("count", "num_detections:0"), ("boxes", "detection_boxes:0"), ("scores", "detection_scores:0"),
             ("classes", "detection_classes:0")]
    apart(m, names, ids, 100, lambda box: tensorflow(m.prepared, box), T.FLOAT)
    entry(m, "ssd", ids, labels, end_to_end=True, labels=NAMES)

    m = Model("tf2_identity", square, "input_tensor", kind=T.UINT8, nhwc=True, dims=open_sides)
    roles = ["anchors", "boxes", "classes", None, "scores", "count"]
    for number, role in enumerate(roles):
        name = f"Identity_{number}" if number else "Identity"
        if role is None:
            m.output(name, [1, 100, 91], {(0, 0, 0): 0.0})
        else:
            apart(m, [(role, name)], IDS91, 100, lambda box: tensorflow(square, box), T.FLOAT)
    entry(m, "ssd", IDS91, COCO, end_to_end=True)

    zoo = Prepared(300, 300, how="stretch", **IMAGENET)
    m = Model("onnx_zoo_ssd", zoo, "image")
    apart(m, [("boxes", "bboxes"), ("classes", "labels"), ("scores", "scores")], [3, 1, 17], 200, lambda box: fractions(zoo, box))
    entry(m, "ssd", [2, 0, 16], COCO, end_to_end=True)

    vision = Prepared(320, 240, how="stretch")
    m = Model("torchvision", vision, "image", rank=3)
    names = [("boxes", "boxes"), ("classes", "labels"), ("scores", "scores")]
    apart(m, names, IDS91, 5, vision.box, batch=())
    entry(m, "ssd", IDS91, COCO, end_to_end=True, labels="coco")

    raw = Prepared(300, 300, how="stretch", mean=(127, 127, 127), std=(128, 128, 128))
    m = Model("pytorch_ssd", raw, "input")
    scores, boxes = {}, {}
    for i, (score, box, _, which) in enumerate(PLANTED):
        scores[0, 31 * i + 5, 0] = 1 - score
        scores[0, 31 * i + 5, ids[which]] = (score, i, 4)
        boxes |= {(0, 31 * i + 5, side): value for side, value in enumerate(fractions(raw, box))}
    m.output("scores", [1, 3000, 4], scores).output("boxes", [1, 3000, 4], boxes)
    entry(m, "ssd", [i - 1 for i in ids], labels, labels=NAMES)


def strangers():
    """No detectors: the error is to help."""
    m = Model("classifier", Prepared(224, 224), "input")
    refused(m.output("logits", [1, 1000], {(0, 1): 1.0}), "logits", "1000")
    m = Model("two_pictures", Prepared(64, 64), "left")
    m.extra("right", T.FLOAT, [1, 3, 64, 64], np.zeros((1, 3, 64, 64), np.float32))
    refused(m.output("disparity", [1, 1, 64, 64], {(0, 0, 0, 0): 1.0}), "right")


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for old in OUT.glob("*.onnx"):
        old.unlink()
    yolos()
    transformers()
    ssds()
    strangers()
    lines = ",\n".join(" " + json.dumps(e) for e in ENTRIES)
    (OUT / "zoo.json").write_text(f"[\n{lines}\n]\n")
    total = sum(p.stat().st_size for p in OUT.glob("*.onnx"))
    print(len(ENTRIES), "models,", total, "bytes")
