"""Notices become Webex messages."""
