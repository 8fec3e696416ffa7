"""Begin a training with weights that there are: all of them, or those that fit."""

from collections.abc import Callable

import torch

from CardiacLib.errors import InputError

Load = Callable[[torch.nn.Module, dict[str, torch.Tensor]], None]


def begin_with_any(network: torch.nn.Module, weights: dict[str, torch.Tensor], load: Load | None = None) -> list[str]:
    """Load weights as they are; where they do not fit, those tensors that do, and say so.

    Args:
        network: gets the weights.
        weights: state dictionary.
        load: loads weights of related networks, and raises InputError of others; None: strictly the same network.

    Returns:
        A sentence if some tensors keep their random values.

    Raises:
        InputError: no tensor fits.
    """
    try:
        if load is not None:
            load(network, weights)
            return []
        network.load_state_dict(weights)
        return []
    except (InputError, RuntimeError):
        own = network.state_dict()
    fitting = {name: w for name, w in weights.items() if name in own and own[name].shape == w.shape}
    if not fitting:
        raise InputError("The weights to begin with are of another network: none of their tensors fits this one.")
    network.load_state_dict(fitting, strict=False)
    left = [name for name in own if name not in fitting]
    return [
        f"Of {len(own)} tensors {len(fitting)} begin with the given weights, {len(left)} do not fit, such as "
        f"'{left[0]}', and begin at random."
        if left
        else f"{len(weights) - len(fitting)} of the given tensors are not of this network and were left out."
    ]
