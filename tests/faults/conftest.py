"""What pytest leaves alone here."""

collect_ignore = ["site"]  # for the processes of jobs: Python imports it by itself where it is told to
