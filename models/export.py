"""Writes the trained network as an ONNX file with the metadata that Ultralytics' exports carry."""

import copy
from pathlib import Path

import onnx
import onnxruntime
import torch
from torch import nn

import net

OPSET = 13


def save(detector: net.Detector, path: Path) -> None:
    model = net.Exported(fused(copy.deepcopy(detector).eval().float()))
    proto = graph(model)
    metadata = {
        "description": "Sightwire's shapes: finds the five shapes of the synthetic scene",
        "author": "Sightwire",
        "license": "Apache-2.0 OR MIT",
        "task": "detect",
        "stride": str(max(net.STRIDES)),
        "batch": "1",
        "imgsz": str([net.SIZE, net.SIZE]),
        "names": str(dict(enumerate(net.LABELS))),
    }
    for key, value in metadata.items():
        proto.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(proto, full_check=True)
    check(model, proto)
    path.write_bytes(proto.SerializeToString())


@torch.no_grad()
def check(model: net.Exported, proto: onnx.ModelProto) -> None:
    """The file must say what the network says."""
    images = torch.rand(1, 3, net.SIZE, net.SIZE)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"images": images.numpy()})
    torch.testing.assert_close(torch.from_numpy(output), model(images), rtol=1e-3, atol=1e-3)


def fused(module: nn.Module) -> nn.Module:
    """Folds every batch normalisation into the convolution before it."""
    for name, child in module.named_children():
        if isinstance(child, nn.Sequential) and len(child) > 1 and isinstance(child[1], nn.BatchNorm2d):
            setattr(module, name, nn.Sequential(torch.nn.utils.fuse_conv_bn_eval(child[0], child[1]), child[2]))
        else:
            fused(child)
    return module


class Writer:
    """Builds the graph node by node: the network is small, and so the file does not depend on an exporter's mood."""

    def __init__(self):
        self.nodes, self.constants, self.count = [], [], 0

    def constant(self, array, name=None):
        name = name or f"constant_{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(array.detach().contiguous().numpy(), name))
        return name

    def node(self, kind, *inputs, out=None, **attributes):
        self.count += 1
        out = out or f"{kind.lower()}_{self.count}"
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), [out], name=f"{kind}_{self.count}", **attributes))
        return out

    def run(self, module, x):
        if isinstance(module, nn.Sequential):
            for child in module:
                x = self.run(child, x)
            return x
        if isinstance(module, net.Block):
            return self.node("Add", x, self.run(module.path, x))
        if isinstance(module, nn.ReLU):
            return self.node("Relu", x)
        if isinstance(module, nn.Conv2d):
            weight, bias = self.constant(module.weight), self.constant(module.bias)
            pad, stride = module.padding[0], module.stride[0]
            sizes = dict(kernel_shape=list(module.kernel_size), pads=[pad] * 4, strides=[stride] * 2)
            return self.node("Conv", x, weight, bias, group=module.groups, **sizes)
        raise TypeError(f"{type(module).__name__} is not known here")

    def doubled(self, x):
        empty, scales = "", self.constant(torch.tensor([1.0, 1.0, 2.0, 2.0]))
        mode = dict(mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")
        return self.node("Resize", x, empty, scales, **mode)


def graph(model: net.Exported) -> onnx.ModelProto:
    """The same computation as `net.Exported.forward`; `check` compares the two."""
    d, w = model.detector, Writer()
    classes = d.score[0][-1].out_channels
    c8 = w.run(d.down8, w.run(d.stem, "images"))
    c16 = w.run(d.down16, c8)
    c32 = w.run(d.down32, c16)
    p32 = w.run(d.smooth[2], w.run(d.lateral[2], c32))
    p16 = w.run(d.smooth[1], w.node("Add", w.run(d.lateral[1], c16), w.doubled(p32)))
    p8 = w.run(d.smooth[0], w.node("Add", w.run(d.lateral[0], c8), w.doubled(p16)))
    levels = (p8, p16, p32)

    def joined(heads, channels):
        shape = w.constant(torch.tensor([1, channels, -1]))
        return w.node("Concat", *[w.node("Reshape", w.run(h, p), shape) for h, p in zip(heads, levels)], axis=2)

    scores = w.node("Sigmoid", joined(d.score, classes))
    reach = w.node("Mul", w.node("Softplus", joined(d.box, 4)), w.constant(model.strides))
    before, after = w.node("Split", reach, w.constant(torch.tensor([2, 2])), out="before", axis=1), "after"
    w.nodes[-1].output.append(after)
    half = w.node("Mul", w.node("Sub", after, before), w.constant(torch.tensor(0.5)))
    middle = w.node("Add", w.constant(model.centres), half)
    w.node("Concat", middle, w.node("Add", before, after), scores, out="output0", axis=1)

    value = lambda name, shape: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    size, count = net.SIZE, model.centres.shape[-1]
    body = onnx.helper.make_graph(
        w.nodes,
        "shapes",
        [value("images", [1, 3, size, size])],
        [value("output0", [1, 4 + classes, count])],
        w.constants,
    )
    opset = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(body, opset_imports=opset, ir_version=8, producer_name="sightwire models/train.py")
