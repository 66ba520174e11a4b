"""Commands about the bot that sends the notices: its token, and a test message."""
