"""Jobs on the clouds' file systems, against stand-ins on this machine; nothing here ever talks to a cloud."""

BUCKET = "corpora"

LOST = "answer-is-lost"  # in a name: the first put of it succeeds, and its answer does not arrive
