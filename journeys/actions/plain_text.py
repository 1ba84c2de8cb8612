"""The text version of an HTML e-mail, for those who read text and for filters that distrust mail without one."""

import re
from html.parser import HTMLParser

_BLOCKS = frozenset(
    "address article blockquote div dl dd dt footer form h1 h2 h3 h4 h5 h6 header li main ol p pre section table tr "
    "ul".split()
)
_SPACED = frozenset("blockquote h1 h2 h3 h4 h5 h6 ol p table ul".split())
_SILENT = frozenset("head script style template title".split())
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_LINKS = ("http://", "https://", "mailto:", "tel:")
_RULE = "-" * 40


def plain_text(html: str) -> str:
    """What a person would read: paragraphs, lists as dashes, links as `text (address)`, nothing that is hidden."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = [" ".join(line.split()) for line in _join(reader.parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _join(parts: list[str | int]) -> str:
    """Numbers stand for at least that many line breaks; those that meet become one, the largest."""
    text, breaks = "", 0
    for part in parts:
        if isinstance(part, int):
            breaks = max(breaks, part)
        elif breaks and not part.strip(" "):
            continue
        else:
            text, breaks = text + "\n" * breaks + part, 0
    return text


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str | int] = []
        self.hidden: list[str] = []  # The open elements from the first hidden one on.
        self.links: list[tuple[str, int]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if self.hidden == ["p"] and tag in _BLOCKS:  # A block ends a paragraph that nobody closed.
            self.hidden.clear()
        is_hidden = tag in _SILENT or "hidden" in attributes or _HIDDEN.search(attributes.get("style", ""))
        if self.hidden or is_hidden:
            if tag not in _VOID:
                self.hidden.append(tag)
            return
        self._break(tag)
        match tag:
            case "a":
                self.links.append((attributes.get("href", "").strip(), len(self.parts)))
            case "br":
                self.parts.append("\n")
            case "hr":
                self.parts += [2, _RULE, 2]
            case "img":
                self.parts.append(attributes.get("alt", ""))
            case "li":
                self.parts.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if self.hidden:
            # An end tag that is missing inside must not hide the rest of the document.
            if tag in self.hidden:
                del self.hidden[len(self.hidden) - 1 - self.hidden[::-1].index(tag) :]
            return
        if tag == "a" and self.links:
            self._close_link(*self.links.pop())
        elif tag in ("td", "th"):
            self.parts.append(" ")
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.parts.append(re.sub(r"\s+", " ", data))

    def _break(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.parts.append(2 if tag in _SPACED else 1)

    def _close_link(self, address: str, start: int) -> None:
        shown = _join(self.parts[start:]).strip()
        if address.startswith(_LINKS) and shown != address.removeprefix("mailto:").removeprefix("tel:"):
            self.parts.append(f" ({address})" if shown else address)
