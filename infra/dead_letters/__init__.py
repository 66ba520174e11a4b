"""Dead-letter queues of a stage: `make dead-letters` and `make redrive`.

This package must not know what a message contains, and never prints a body.
"""
