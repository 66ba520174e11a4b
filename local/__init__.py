"""What batchwatch needs on a developer's machine and in its tests; never deployed."""
