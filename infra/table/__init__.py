"""The jobs table of a stage. Must know keys of items only, not what they contain."""
