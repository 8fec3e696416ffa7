"""The two ways a job stops before its end."""


class InputError(ValueError):
    """Input that cannot be used. The message is one sentence: which file, what is wrong, what to do."""


class Cancelled(Exception):
    """The user asked to stop; raised by a progress callback, passes through every library function."""
