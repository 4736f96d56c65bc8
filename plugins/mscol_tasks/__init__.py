"""The bundled probe tasks: MagnaTagATune, NSynth, FMA-small and any folder of class folders."""
