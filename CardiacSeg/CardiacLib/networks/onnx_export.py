"""Make ``model.onnx`` of a bundle's ``model.pt``; needs PyTorch, MONAI and onnx (the extra ``train``)."""

import importlib.util
import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from CardiacLib.errors import InputError

from .bundles import bundle_metadata, load_network, read_config, require_weights
from .download import checksum
from .onnx_files import OnnxRecord, onnx_path, write_record
from .plain_convolutions import with_plain_convolutions

OPSET = 17
"""The first with LayerNormalization; OpenVINO and ONNX Runtime have known it since 2022."""
SIDE = 64
"""Rows and columns of the example that a network is traced with where its metadata leave them open."""
DYNAMIC = {0: "batch", 2: "rows", 3: "columns"}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        file: ``model.onnx``.
        record: of it.
    """

    file: Path
    record: OnnxRecord


def can_export() -> bool:
    """Whether the package is there that writes ONNX."""
    return importlib.util.find_spec("onnx") is not None


def export_bundle(bundle: Path, *, trust: bool = False) -> Exported:
    """Write ``model.onnx`` beside the ``model.pt`` of a bundle.

    The network takes float32 slices of any number and, where the metadata leave it open, any size, and computes in
    float32. Weights that half precision holds exactly, as those of shipped bundles, are stored so; others stay float32.

    Args:
        bundle: folder; its weights may lie in the cache.
        trust: let the configuration of a foreign bundle run code.

    Returns:
        File and record, which :func:`~CardiacLib.networks.onnx_files.write_record` has written down too.

    Raises:
        InputError: weights or the package onnx are missing, or the network cannot be exported.
    """
    if not can_export():
        raise InputError("The package onnx, which writes model.onnx, is not installed; get it with: pip install onnx")
    weights = require_weights(bundle)
    network = load_network(bundle, read_config(bundle, "inference", trust), torch.device("cpu"))
    file = onnx_path(bundle)
    work = file.with_suffix(".part")
    work.write_bytes(onnx_of(network, example_of(bundle)))
    os.replace(work, file)
    record = record_of(file, weights)
    write_record(bundle, record)
    return Exported(file, record)


def example_of(bundle: Path) -> torch.Tensor:
    """Slices (1, C, H, W) as the bundle's metadata describe its input."""
    try:
        image = bundle_metadata(bundle)["network_data_format"]["inputs"]["image"]
        rows, columns = (side if isinstance(side, int) else SIDE for side in image["spatial_shape"])
        return torch.zeros(1, int(image["num_channels"]), rows, columns)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{bundle}: its configs/metadata.json must describe 'network_data_format' of one input 'image' in 2-D."
        ) from error


def record_of(file: Path, weights: Path) -> OnnxRecord:
    """What is written down of a ``model.onnx`` that was just made of weights."""
    return OnnxRecord(checksum(file, "sha256"), checksum(weights, "sha256"), OPSET)


def onnx_of(network: torch.nn.Module, example: torch.Tensor) -> bytes:
    """A network as the bytes of an ONNX model, with the input ``image`` and the output ``pred``.

    Args:
        network: in evaluation mode, on the CPU.
        example: float32 (1, C, H, W) to trace it with.

    Raises:
        InputError: it cannot be exported.
    """
    written = io.BytesIO()
    with torch.inference_mode():
        maps = network(example).ndim == example.ndim
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the tracer, on sizes that networks look at, and of the exporter on itself
        try:
            torch.onnx.export(
                with_plain_convolutions(network),
                (example,),
                written,
                input_names=["image"],
                output_names=["pred"],
                dynamic_axes={"image": DYNAMIC, "pred": DYNAMIC if maps else {0: DYNAMIC[0]}},
                opset_version=OPSET,
                # Weights stay as they are: batch normalisation is not multiplied into them.
                training=torch.onnx.TrainingMode.PRESERVE,
                dynamo=False,
            )
        except Exception as error:  # whatever the network or the exporter raises
            raise InputError(f"The network cannot be written as ONNX ({error}).") from error
    return _with_half_weights(written.getvalue())


def _with_half_weights(content: bytes) -> bytes:
    """The same model, its weights stored in half precision where that changes nothing of them."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(content)
    graph = model.graph
    casts = []
    for tensor in list(graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        half = values.astype(np.float16)
        if values.ndim == 0 or not np.array_equal(half.astype(np.float32), values):
            continue
        name = tensor.name
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del model.metadata_props[:]
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)
