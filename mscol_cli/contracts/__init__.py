"""Contracts between mscol and plugins: cards, and the parts that cards build.

Plugin authors import these names from `mscol_cli.api`, the stable interface.
"""
