"""The HTTP API: access, parameters, responses and their formats. Reads what was recorded and writes
nothing but the slots of long polls; must not know SQS, Webex or how events are recorded."""
