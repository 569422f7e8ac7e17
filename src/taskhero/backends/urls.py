"""What may be shown of a URL that may hold a password."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

__all__ = ["location_of", "without_secrets"]


def location_of(url: str) -> str:
    """The URL without user, password and options; only its scheme if these cannot be told from the rest."""
    scheme, _, rest = url.partition("://")
    user_info, _, place = rest.rpartition("@")
    if any(sign in user_info for sign in "/?#"):
        # A password that is not percent-encoded, or an option that holds an "@".
        return f"{scheme}://***"
    return f"{scheme}://{place.partition('?')[0].partition('#')[0]}"


def without_secrets(text: str, url: str) -> str:
    """The text with everything left out that the URL has before ``@`` or behind ``?``."""
    rest = url.partition("://")[2]
    user_info, at, _ = rest.rpartition("@")
    query = rest.partition("?")[2]
    secrets = {user_info, *user_info.split(":", 1)} if at else set()
    secrets |= {query, *(value for _, value in parse_qsl(query))}
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
