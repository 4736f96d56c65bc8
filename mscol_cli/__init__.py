"""mscol: learn music representations by associating songs with their separated sources."""

__version__ = "0.1.0"
