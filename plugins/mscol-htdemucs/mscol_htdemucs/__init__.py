"""A separator for mscol: Hybrid Transformer Demucs, run from an ONNX file."""
