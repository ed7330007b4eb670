"""What a user runs: configuration, the graph, the command line, and what a run leaves behind."""
