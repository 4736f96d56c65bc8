"""Run folders and the checkpoints in them: safetensors and JSON, written whole or not at all."""
