"""Formats of tokens that are secrets without a name.

The prefixes and lengths are the issuers' own. They were compared with the rules of gitleaks
(https://github.com/gitleaks/gitleaks, MIT License); the patterns are written for this module, and
are looser, because a token of a new length is still a secret.
"""

from typing import Final, NamedTuple


class Format(NamedTuple):
    """A token's format. `hints` are substrings, in lower case, one of which each token contains."""

    issuer: str
    hints: str
    pattern: str


FORMATS: Final = (
    Format("JSON Web Token", "eyj", r"eyJ [\w-]{8,} \. [\w-]{8,} \. [\w-]*"),
    Format("PEM, base64", "ls0tls1crudjti", r"LS0tLS1CRUdJTi [\w+/=]{16,}"),
    Format(
        "AWS session",
        "iqojb3jpz2lu fwogzxivyxdz fqogzxivyxdz",
        r"(?: IQoJb3JpZ2lu | F[wQ]oGZXIvYXdz ) [\w/+=]{20,}",
    ),
    Format("age", "age-secret-key-1", r"AGE-SECRET-KEY-1 [0-9A-Z]{50,}"),
    Format("Airtable", "pat", r"pat [A-Za-z0-9]{14} \. [0-9a-f]{64}"),
    Format(
        "Anthropic, OpenAI",
        "sk-",
        r"sk- (?: (?: proj | svcacct | admin | ant | or )- | lf- )"
        r" [\w-]{16,}",
    ),
    Format("DeepSeek, OpenAI", "sk-", r"sk- [A-Za-z0-9]{32,}"),
    Format("Atlassian", "ata atb atctt", r"AT (?: ATT3 | CTT3 | BB ) [\w=-]{24,}"),
    Format("Azure AD client", "8q~", r"[\w.~-]{3} 8Q~ [\w.~-]{31,34}"),
    Format("Databricks", "dapi", r"dapi [0-9a-f]{32} (?: -\d )?"),
    Format("DigitalOcean", "_v1_", r"do[opr]_v1_ [0-9a-f]{32,}"),
    Format("Docker", "dckr_", r"dckr_ [po]at_ [\w-]{20,}"),
    Format("Doppler", "dp.", r"dp\. (?: pt | st | ct | sa | scim | audit )\. [\w.-]{20,}"),
    Format("Dropbox", "sl.", r"sl\. [\w=-]{60,}"),
    Format("Figma", "figd_", r"figd_ [\w-]{20,}"),
    Format("Fly", "fm1_ fm2_ fo1_", r"f[mo][12]r?_ [\w+/=-]{20,}"),
    Format(
        "GitHub", "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_", r"(?: gh[pousr] | github_pat )_ \w{20,}"
    ),
    Format(
        "GitLab",
        "gl",
        r"gl (?: pat | ptt | rtr? | dt | cbt | soat | oas | ft | imt | agent | ffct | wt )-"
        r" [\w.-]{16,}",
    ),
    Format("Google API key", "aiza", r"AIza [\w-]{35}"),
    Format("Google OAuth", "ya29. gocspx-", r"(?: ya29\. | GOCSPX- ) [\w.-]{20,}"),
    Format("Grafana", "glsa_ glc_", r"gl (?: sa | c )_ [\w+/=-]{32,}"),
    Format("Groq", "gsk_", r"gsk_ [A-Za-z0-9]{40,}"),
    Format("Hugging Face", "hf_ api_org_", r"(?: hf | api_org )_ [A-Za-z0-9]{30,}"),
    Format("Linear", "lin_", r"lin_ (?: api | oauth )_ [A-Za-z0-9]{32,}"),
    Format("New Relic", "nrak- nrii- nrjs- nraa-", r"NR (?: AK | II | JS | AA )- [\w-]{19,}"),
    Format("Notion", "ntn_ secret_", r"(?: ntn | secret )_ [A-Za-z0-9]{40,}"),
    Format("npm", "npm_", r"npm_ [A-Za-z0-9]{36}"),
    Format("NVIDIA", "nvapi-", r"nvapi- [\w-]{32,}"),
    Format("Perplexity", "pplx-", r"pplx- [A-Za-z0-9]{32,}"),
    Format("PlanetScale", "pscale_", r"pscale_ (?: tkn | oauth | pw )_ [\w.=-]{24,}"),
    Format("Postman", "pmak-", r"PMAK- [0-9a-f]{24}- [0-9a-f]{34}"),
    Format("Prefect", "pnu_ pnb_", r"pn[ub]_ [A-Za-z0-9]{36}"),
    Format("Pulumi", "pul-", r"pul- [0-9a-f]{40}"),
    Format("PyPI", "pypi-", r"pypi- [\w-]{40,}"),
    Format("Replicate", "r8_", r"r8_ [A-Za-z0-9]{32,}"),
    Format("RubyGems", "rubygems_", r"rubygems_ [0-9a-f]{40,}"),
    Format("SendGrid", "sg.", r"SG\. [\w-]{16,} \. [\w-]{16,}"),
    Format("Sentry", "sntry", r"sntry [su]_ [\w+/=-]{40,}"),
    Format("Shopify", "shp", r"shp (?: at | ca | pa | ss )_ [0-9a-fA-F]{32}"),
    Format(
        "Slack", "xox xapp- xwfp-", r"(?: xox[a-z] (?: \.xox[a-z] )? | xapp | xwfp )- [\w-]{10,}"
    ),
    Format("Square", "sq0", r"sq0[a-z]{3}- [\w-]{22,}"),
    Format(
        "Stripe",
        "k_live_ k_test_ whsec_",
        r"[srp]k_ (?: live | test )_ [A-Za-z0-9]{10,}"
        r" | whsec_ [\w+/=]{16,}",
    ),
    Format("Supabase", "sbp_ sb_secret_", r"(?: sbp | sb_secret )_ [\w-]{20,}"),
    Format("Tailscale", "tskey-", r"tskey- [a-z]{2,12}- [\w-]{12,}"),
    Format("Telegram", ":aa", r"\d{8,10} :AA [\w-]{32,34}"),
    Format("Terraform", ".atlasv1.", r"[A-Za-z0-9]{14} \.atlasv1\. [\w=-]{40,}"),
    Format("Vault", "hvs. hvb. hvr.", r"hv[sbr]\. [\w-]{20,}"),
    Format(
        "Webex", "_p", r"[\w-]{40,100} _P\w{3}_ [0-9a-f]{8} (?: -[0-9a-f]{4} ){3} -[0-9a-f]{12}"
    ),
    Format("xAI", "xai-", r"xai- [A-Za-z0-9]{40,}"),
)
