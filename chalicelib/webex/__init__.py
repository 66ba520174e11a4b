"""Sends notices as messages to Webex rooms."""
