"""The arithmetic of Oblong: numpy, pyarrow and tokenizers, and no Beam.

A step of the pipeline is a plain function here and a thin PTransform of the same file name in `transforms`.
"""
