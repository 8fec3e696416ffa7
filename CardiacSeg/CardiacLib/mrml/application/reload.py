"""Reload the libraries together with the modules, for developers: Slicer's own Reload reads the module file alone."""

import sys
from collections.abc import Sequence


def reload_all(name: str, modules: Sequence[str], packages: Sequence[str]) -> None:
    """Forget the libraries, and reload the modules that use them, the one that was asked for last.

    All are reloaded, because the types that the module files name must be those of the libraries that they load then.

    Args:
        name: of the module whose Reload was pressed.
        modules: names of all modules of the extension.
        packages: names of its libraries.
    """
    import slicer

    for module in list(sys.modules):
        if module.partition(".")[0] in packages:
            del sys.modules[module]
    opened = [module for module in modules if module != name and hasattr(slicer.modules, f"{module}Widget")]
    for module in set(modules) - {name, *opened}:
        sys.modules.pop(module, None)  # Slicer makes it from its file when it is opened
    for module in (*opened, name):
        slicer.util.reloadScriptedModule(module)
