"""What can go wrong, told in one line."""


class BenchmarkError(Exception):
    """The benchmark cannot go on; the message says what was found, and what to do."""
