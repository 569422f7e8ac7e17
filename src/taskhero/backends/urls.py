"""What may be shown of a URL that may hold a password."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

__all__ = ["location_of", "without_secrets"]

#: Options whose values an error may show: others may hold a password, or be one whose name is misspelt.
_HARMLESS = {
    "db",
    "max_connections",
    "socket_connect_timeout",
    "socket_keepalive",
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_min_version",
}


def location_of(url: str) -> str:
    """The URL without user, password and options but the database; only its scheme if these cannot be told apart."""
    scheme, _, rest = url.partition("://")
    user_info, _, place = rest.rpartition("@")
    if any(sign in user_info for sign in "/?#"):
        # A password that is not percent-encoded, or an option that holds an "@".
        return f"{scheme}://***"
    path, _, query = place.partition("#")[0].partition("?")
    database = next((value for name, value in parse_qsl(query) if name == "db"), "")
    shown = f"?db={database}" if database.isascii() and database.isdigit() else ""
    return f"{scheme}://{path}{shown}"


def without_secrets(text: str, url: str) -> str:
    """The text without what the URL has before ``@`` or behind ``?``, but for values that cannot be secrets."""
    rest = url.partition("://")[2]
    user_info, at, _ = rest.rpartition("@")
    query = rest.partition("?")[2]
    secrets = {user_info, *user_info.split(":", 1)} if at else set()
    secrets |= {value for name, value in parse_qsl(query) if name not in _HARMLESS}
    secrets |= {unquote(secret) for secret in secrets}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
