"""The steps of the pipeline, each a PTransform that works alone in somebody else's pipeline."""
