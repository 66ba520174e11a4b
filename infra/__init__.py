"""How batchwatch gets into an account: its resources stack, its deployment, its API tokens.

Not deployed, and knows nothing of chalicelib: it deals in stacks, stages and secrets, not in jobs.
"""
