"""A simulated week of a busy, healthy installation, and the messages that its room gets.

jobs      the jobs of the week and their events
messages  the recorder, the sweep and the notifier in simulated time
"""
