"""The cache of embeddings: a folder of vectors for each model."""
