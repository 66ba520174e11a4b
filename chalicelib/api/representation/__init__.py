"""The JSON of the API's responses, in AWS's names, independent of how records are stored.

Times are RFC 3339 in UTC with milliseconds, durations are seconds, and unknown values are null.
`now` is epoch milliseconds and always passed in. Contains no HTTP and no I/O.
"""
