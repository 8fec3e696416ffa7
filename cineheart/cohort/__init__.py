"""Many studies: found, processed in several processes, and told in one table and one page."""

from .batch import BatchOptions, run_batch

__all__ = ["BatchOptions", "run_batch"]
