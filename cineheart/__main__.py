"""The program: ``python -m cineheart``, and what the installed ``cineheart`` starts."""

import os
import sys

# NumPy's matrices are small here: its threads would wait for one another, actively, and a mesh take twice as long. It
# reads this when it is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cineheart.cli import main

if __name__ == "__main__":
    sys.exit(main())
