"""The bundled importers."""
