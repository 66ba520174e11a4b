"""Random values from a seed, and the secrets among them."""

from random import Random
from uuid import UUID


class SeededRandom(Random):
    """A random generator that collects the secrets that it has produced."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.secrets: set[str] = set()

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def log_uniform(self, low: int, high: int) -> int:
        """Return a number whose order of magnitude is uniform: many small ones, few large ones."""
        return int(low * (high / low) ** self.random())

    def hex(self, digits: int) -> str:
        return f"{self.getrandbits(4 * digits):0{digits}x}"

    def uuid(self) -> str:
        return str(UUID(int=self.getrandbits(128), version=4))

    def secret(self) -> str:
        secret = f"SECRET-{self.hex(20)}"
        self.secrets.add(secret)
        return secret
