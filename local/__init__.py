"""The local stack with its stand-ins, commands and simulator, for development and tests.

Nothing in this package is deployed.
"""
