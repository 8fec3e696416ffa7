"""Keras files of a UNet 3+ with random weights in every layout, and an independent forward pass in numpy.

Both are written from the description of the published model, not from our network: layers by their Keras names, arrays
in Keras' order (row, column, in, out), images (row, column, channel).
"""

import io
import json
import zipfile

import h5py
import numpy as np

SMALL = (2, 3, 4, 5, 6)
LEVELS = range(1, 6)


def random_layers(filters=SMALL, seed=0):
    """Layer name to {variable: array} of a whole model, in the order in which Keras makes them."""
    draw, layers = np.random.default_rng(seed), {}

    def conv(name, before, after):
        scale = (2.0 / (9 * before)) ** 0.5
        layers[name] = {
            "kernel": (scale * draw.standard_normal((3, 3, before, after))).astype(np.float32),
            "bias": (0.1 * draw.standard_normal(after)).astype(np.float32),
        }

    def block(name, before, after, i=1):
        conv(f"{name}_Conv_{i}", before, after)
        layers[f"{name}_BN_{i}"] = {
            "gamma": draw.uniform(0.5, 1.5, after).astype(np.float32),
            "beta": (0.2 * draw.standard_normal(after)).astype(np.float32),
            "moving_mean": (0.2 * draw.standard_normal(after)).astype(np.float32),
            "moving_variance": draw.uniform(0.0005, 1.5, after).astype(np.float32),
        }

    before = 1
    for level in LEVELS:
        width = filters[level - 1]
        block(f"Encoder{level}", before, width, 1)
        block(f"Encoder{level}", width, width, 2)
        before = width
    for to in (4, 3, 2, 1):
        width = filters[to - 1]
        for level in LEVELS:
            block(f"Skip{level}_{to}", filters[level - 1], width)
        block(f"Decoder{to}", 5 * width, width)
    for level in (5, 4, 3, 2, 1):
        conv(f"deepsup_conv_{level}_1", filters[level - 1], 3)
        conv(f"deepsup_conv_{level}_2", 3, 3)
    return layers


def write_keras(path, layers, layout="keras2 model"):
    """Write layers in one of LAYOUTS."""
    if layout == "keras3 archive":
        inner = io.BytesIO()
        with h5py.File(inner, "w") as file:
            _numbered(file, layers, named=False)
        config = {"class_name": "Functional", "config": {"layers": [
            {"class_name": "Conv2D" if "kernel" in v else "BatchNormalization", "config": {"name": k}, "name": k}
            for k, v in layers.items()
        ]}}  # fmt: skip
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", json.dumps(config))
            archive.writestr("metadata.json", "{}")
            archive.writestr("model.weights.h5", inner.getvalue())
        return path
    with h5py.File(path, "w") as file:
        if layout.startswith("keras3 weights"):
            _numbered(file, layers, named="named" in layout)
        else:
            _by_name(file, layers, layout)
    return path


LAYOUTS = (
    "keras2 model", "keras2 weights", "keras2 nested", "keras3 model", "keras3 weights, named", "keras3 archive",
)  # fmt: skip


def _by_name(file, layers, layout):
    top = file if layout == "keras2 weights" else file.create_group("model_weights")
    (file if layout == "keras2 weights" else top).attrs["layer_names"] = [k.encode() for k in layers]
    colon = "" if layout == "keras3 model" else ":0"
    for layer, variables in layers.items():
        folder = {
            "keras2 nested": f"model_1/{layer}", "keras3 model": f"{layer}/functional/{layer}",
        }.get(layout, f"{layer}/{layer}")  # fmt: skip
        for name, array in variables.items():
            top[f"{folder}/{name}{colon}"] = array
    if layout == "keras2 model":
        file.attrs["model_config"] = json.dumps({"class_name": "Functional"})
        file.attrs["keras_version"] = "2.10.0"
        top.create_group("input_1")
        slots = file.create_group("optimizer_weights")
        slots["Adam/iter:0"] = np.int64(7)
        for layer, variables in layers.items():
            for name, array in variables.items():
                slots[f"Adam/{layer}/{name}/m:0"] = np.zeros_like(array)


def _numbered(file, layers, named):
    counts = {}
    for layer, variables in layers.items():
        kind = "conv2d" if "kernel" in variables else "batch_normalization"
        number = counts[kind] = counts.get(kind, -1) + 1
        group = file.create_group(f"layers/{kind}_{number}/vars" if number else f"layers/{kind}/vars")
        if named:
            group.attrs["name"] = layer
        for n, array in enumerate(variables.values()):
            group[str(n)] = array
    file["optimizer/vars/0"] = np.int64(7)


def forward(layers, image):
    """The five answers (row, column, class), level 5 to 1, of an image (row, column, 1), softmaxed, in float64."""
    encoded, found = {}, np.asarray(image, np.float64)
    for level in LEVELS:
        found = pooled(found, 2) if level > 1 else found
        for i in (1, 2):
            found = block(layers, f"Encoder{level}", found, i)
        encoded[level] = found
    decoded = {5: found}
    for to in (4, 3, 2, 1):
        parts = []
        for level in LEVELS:
            source = decoded[level] if level == to + 1 else encoded[level]
            if level < to:
                source = pooled(source, 2 ** (to - level))
            elif level > to:
                source = upsampled(source, 2 ** (level - to))
            parts.append(block(layers, f"Skip{level}_{to}", source))
        decoded[to] = block(layers, f"Decoder{to}", np.concatenate(parts, -1))
    answers = []
    for level in (5, 4, 3, 2, 1):
        found = convolved(layers[f"deepsup_conv_{level}_1"], decoded[level])
        found = convolved(layers[f"deepsup_conv_{level}_2"], upsampled(found, 2 ** (level - 1)))
        found = np.exp(found - found.max(-1, keepdims=True))
        answers.append(found / found.sum(-1, keepdims=True))
    return answers


def block(layers, name, image, i=1):
    """Convolution, normalisation by the moving statistics, ReLU."""
    norm = layers[f"{name}_BN_{i}"]
    found = convolved(layers[f"{name}_Conv_{i}"], image)
    scale = norm["gamma"] / np.sqrt(norm["moving_variance"].astype(np.float64) + 1e-3)
    return np.maximum((found - norm["moving_mean"]) * scale + norm["beta"], 0)


def convolved(layer, image):
    """Padding 'same' with zeros, 3 x 3."""
    rows, columns = image.shape[:2]
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    found = np.zeros((rows, columns, layer["kernel"].shape[3])) + layer["bias"]
    for r in range(3):
        for c in range(3):
            found += padded[r : r + rows, c : c + columns] @ layer["kernel"][r, c].astype(np.float64)
    return found


def pooled(image, size):
    """MaxPooling2D."""
    rows, columns, channels = image.shape
    return image.reshape(rows // size, size, columns // size, size, channels).max((1, 3))


def upsampled(image, factor):
    """UpSampling2D, bilinear: pixel centres at (n + 0.5) / factor - 0.5, beyond the border the border."""
    for axis in (0, 1):
        size = image.shape[axis]
        at = (np.arange(size * factor) + 0.5) / factor - 0.5
        low = np.floor(at).astype(int)
        part = (at - low).reshape([-1 if n == axis else 1 for n in range(3)])
        a, b = (np.take(image, np.clip(low + n, 0, size - 1), axis) for n in (0, 1))
        image = (1 - part) * a + part * b
    return image
