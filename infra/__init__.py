"""Deployment and operation of a stage in AWS, with the make targets that do it.

Nothing in this package is deployed. It must not import chalicelib: it handles stacks, stages,
queues, secrets and functions, but not jobs.
"""
