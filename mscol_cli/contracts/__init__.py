"""What a plugin is: the cards it declares and the parts those cards build.

Plugin authors import these names from `mscol_cli.api`, which is the promise; this package is where
they are written down.
"""
