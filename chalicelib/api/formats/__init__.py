"""The bodies of responses as text for terminals and as CSV for spreadsheets; JSON by default.

Names and reasons are written by others: control characters are replaced in text, and a cell that
a spreadsheet would take for a formula is quoted in CSV. Contains no HTTP except the names of media
types.
"""
