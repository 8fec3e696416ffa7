"""What the modules' panels share: wiring, worker processes, packages, networks, buttons."""
