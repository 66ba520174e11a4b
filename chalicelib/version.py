"""The version of batchwatch, which is also that of its API: docs/api.md states what it promises."""

VERSION = "0.1.0"
