"""Query parameters: each query is one typed struct, from which the parser, the limits, the error
messages and the API's description follow. Contains no HTTP and no I/O."""
