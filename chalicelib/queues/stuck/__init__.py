"""Stuck jobs of a queue: which jobs are stuck, and the incidents that report many of them."""
