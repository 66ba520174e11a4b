"""Events become records."""
