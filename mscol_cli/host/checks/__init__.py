"""What a part must keep to: the contracts in `mscol_cli.contracts`, checked.

Bundled parts and those of foreign plugins go through the same checks, right after they are built
and wherever they return something, before anything is trained or written. A breach is a
`PluginError` that names the part, its owner and version.
"""
