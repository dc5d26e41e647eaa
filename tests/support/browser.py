"""A browser without a window: it follows a sign-in at the development issuer as a person would, form and all."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2


class _Form(HTMLParser):
    """The first form of a page: where it goes, and what its hidden fields hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action = ""
        self.hidden: dict[str, str] = {}
        self.people: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.action = attributes["action"]
        if tag == "input" and attributes.get("type") == "hidden":
            self.hidden[attributes["name"]] = attributes["value"]
        if tag == "input" and attributes.get("name") == "person":
            self.people.append(attributes["value"])


@dataclass
class Browser:
    """Signs in as `person`; `visited` holds the addresses that clients opened, in order."""

    person: str
    visited: list[str] = field(default_factory=list)

    def sign_in(self, authorize_url: str) -> str:
        """Open the address, pick the person, and return where the issuer sends the browser (unopened)."""
        self.visited.append(authorize_url)
        with httpx2.Client(trust_env=False) as http:
            page = http.get(authorize_url, follow_redirects=True)
            assert page.status_code == 200, page.text
            form = _Form(page.text)
            assert self.person in form.people
            answered = http.post(
                urljoin(str(page.url), form.action),
                data={**form.hidden, "person": self.person, "decision": "allow"},
            )
        assert answered.status_code == 303, answered.text
        return answered.headers["location"]

    def arrive(self, address: str) -> None:
        """Open the address that the client waits at."""
        with httpx2.Client(trust_env=False) as http:
            assert http.get(address).status_code == 200

    def asked(self) -> dict[str, str]:
        """Return the parameters of the last address that a client opened."""
        return query(self.visited[-1])


def query(url: str) -> dict[str, str]:
    """Return the parameters of an address, each of which appears once."""
    pairs = parse_qsl(urlsplit(url).query)
    assert len(dict(pairs)) == len(pairs), url
    return dict(pairs)
