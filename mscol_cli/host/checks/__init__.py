"""Checks of parts against the contracts in `mscol_cli.contracts`.

Bundled and third-party parts are checked right after they are built, and whenever they return a
value, before anything is trained or written. A breach is a `PluginError` that names the part, its
owner and version.
"""
