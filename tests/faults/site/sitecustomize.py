"""Watches the steps of a process that Python starts for a job, where the environment says so."""

import os

if "OBLONG_FAULTS" in os.environ:
    from tests.faults.steps import VARIABLE, Watched, watch

    watch(Watched.load(os.environ[VARIABLE]))
