"""The jobs table of a stage. Must not know what the items contain."""
