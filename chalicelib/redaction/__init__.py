"""Removes secrets from texts before anything is stored, logged, returned or sent.

AWS Batch events contain commands, parameters, tags and reasons in plain text, and people put
secrets into all of them. Every text is therefore redacted here first: `REDACTED` replaces each
secret, and the rest stays readable. Redacting a redacted text changes nothing.

    what                                     example                        module
    ---------------------------------------  -----------------------------  ----------
    value with a secret's name: assigned,    DB_PASSWORD=…  dbPassword: …   `names`
    in JSON, XML, SQL, lists, options and    "api-key": "…"  --db-token …
    pairs                                    <password>…  PASSWORD '…'
    secret in an option of a program         mysql -p…  docker login -p …   `programs`
    Authorization and Cookie headers,        Authorization: Basic …         `rules`
    bearer tokens, users of curl             Bearer …  curl -su ada:…
    password or token in a URL               https://ada:…@host/            `rules`
    signature or token in a URL's query      ?X-Amz-Signature=…  &sig=…     `rules`
    webhooks of Slack, Webex and others      hooks.slack.com/services/…     `rules`
    access keys of AWS and the secret keys   AKIA…                          `rules`
    beside them, private keys                -----BEGIN PRIVATE KEY-----
    tokens of about fifty issuers            ghp_…  hvs.…  eyJ….….…         `tokens`
    matches of an `extra` pattern            as configured                  `redactor`

A secret's name, in upper or lower case, ends in password, passphrase, passcode, secret, token,
credential, auth, connection string, or in key after api, access, secret, private and others; a
number, a stage or another suffix may follow (`_1`, `-prod`, `_OLD`). Names that end like that but
mean something else are excepted: `pad_token`, `ExpiredToken`, `PWD=/home`, the `:secret:` in an
ARN. So are values that are not secrets: booleans, small numbers, paths, references to variables
(`$TOKEN`, `Ref::token`), placeholders.

Not redacted: a password within prose, and one in an option of a program that `programs` does not
list; `extra` patterns are for these. Values of environment variables are not passed to this package
at all: any of them may be a secret, so the caller drops all values and keeps the names.

Pure: this package must not know events, AWS clients, the clock or the environment. Redaction takes
time linear in the length of a text, even of one that was written to slow it down: no run of
characters is scanned from more than one start unless its length is bounded.
"""

from chalicelib.redaction.redactor import Redaction
from chalicelib.redaction.rules import REDACTED

__all__ = ["REDACTED", "Redaction"]
