"""Keras weights as the state dictionary of the same network in torch.

Convolution kernels are (row, column, in, out) there and (out, in, row, column) here; batch normalisation calls its
weight gamma, its bias beta and its statistics moving. Padding 'same' of odd kernels is symmetric in both. What cannot
be read from the arrays is the network's: the epsilon of its normalisation, how it enlarges, the order of its inputs.
"""

from pathlib import Path

import numpy as np

from CardiacLib.errors import InputError

from .layouts import Layers, read_layers

TORCH_NAME = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
LISTED = 3
"""Layers that a message names at most."""


def keras_state(network, path: str | Path) -> dict:
    """The state dictionary of a network from a Keras file, float32 torch tensors.

    Args:
        network: torch module whose ``keras_layers()`` maps names of Keras layers to names of its modules.
        path: as of :func:`~CardiacLib.networks.keras.layouts.read_layers`.

    Raises:
        InputError: the file cannot be read, layers are missing or unknown, or arrays are of another shape.
    """
    import torch

    places: dict[str, str] = network.keras_layers()
    layers = read_layers(path, places)
    _require_layers(path, layers, places)
    own = network.state_dict()
    state = {name: value.clone() for name, value in own.items() if name.endswith("num_batches_tracked")}
    for layer, variables in layers.items():
        for variable, array in variables.items():
            if variable == "moving_variance" and (array < 0).any():
                raise InputError(f"{path}: 'moving_variance' of layer '{layer}' is negative; the file is damaged.")
            name = f"{places[layer]}.{TORCH_NAME[variable]}"
            _require_shape(path, layer, variable, array, own.get(name))
            turned = array.transpose(3, 2, 0, 1) if variable == "kernel" else array
            state[name] = torch.from_numpy(np.ascontiguousarray(turned))
    missing = [name for name in own if name not in state]
    if missing:
        layer = next(k for k, place in places.items() if missing[0].startswith(f"{place}."))
        raise InputError(
            f"{path}: layer '{layer}' has no {_keras_name(missing[0], layers[layer])}; "
            "give the weights of the whole model."
        )
    return state


def _require_layers(path: str | Path, layers: Layers, places: dict[str, str]) -> None:
    missing = [name for name in places if name not in layers]
    unknown = [name for name in layers if name not in places]
    if len(missing) == len(places):
        raise InputError(
            f"{path}: is the Keras model of another network; its layers are {_some(unknown)}, those of this one "
            f"{_some(missing)}."
        )
    if missing:
        raise InputError(f"{path}: lacks {len(missing)} of {len(places)} layers, such as {_some(missing)}.")
    if unknown:
        raise InputError(f"{path}: has {len(unknown)} layers that this network has not, such as {_some(unknown)}.")


def _require_shape(path, layer: str, variable: str, array: np.ndarray, own) -> None:
    if own is None:
        raise InputError(f"{path}: layer '{layer}' has a '{variable}', which it has not in this network.")
    wanted = tuple(own.shape)
    wanted = (wanted[2], wanted[3], wanted[1], wanted[0]) if variable == "kernel" and len(wanted) == 4 else wanted
    if array.shape != wanted:
        raise InputError(
            f"{path}: '{variable}' of layer '{layer}' has the shape {_text(array.shape)}, in this network "
            f"{_text(wanted)}; it is of a network of another width or kind."
        )


def _keras_name(torch_name: str, variables: dict) -> str:
    last = torch_name.rpartition(".")[2]
    return next(k for k, v in TORCH_NAME.items() if v == last and k not in variables)


def _text(shape) -> str:
    return " x ".join(str(n) for n in shape) or "of one number"


def _some(names: list[str]) -> str:
    return ", ".join(names[:LISTED])
