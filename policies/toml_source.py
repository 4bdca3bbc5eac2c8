"""TOML that knows its lines, so that whoever wrote a file is told where to look."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import cached_property

Path = tuple[str | int, ...]


class PolicyError(ValueError):
    """A document that cannot be used: ``where`` (file), ``line`` (from 1), ``key`` and what is wrong with it."""

    def __init__(self, where: str, line: int, key: str, message: str) -> None:
        self.where = where
        self.line = line
        self.key = key
        self.message = message
        place = f"{where}:{line}" if line else where
        super().__init__(f"{place}: {f'`{key}`: ' if key else ''}{message}")


class Lines:
    """On which lines a document's keys stand; looked for once somebody asks, as few do."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def known(self) -> dict[Path, int]:
        """Path → line, from 1."""
        return _find_lines(self._text)


class Table:
    """One table of a document being read: takes its keys one by one and refuses those nobody asked for."""

    def __init__(self, values: dict[str, object], *, where: str, lines: Lines, path: Path = ()) -> None:
        self._values = values
        self.where = where
        self._lines = lines
        self._path = path
        self._taken: set[str] = set()
        #: Keys that may stand here: whoever reads the table has asked about them.
        self._known: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        self._known.add(key)
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def holding(self, values: dict[str, object]) -> Table:
        """Other values that are said to stand at this table's place: errors about them name it."""
        return Table(values, where=self.where, lines=self._lines, path=self._path)

    @property
    def line(self) -> int:
        """The line on which the table begins, as near as it is known; 0 for the document itself."""
        return self._line_of(self._path)

    def error(self, key: str, message: str, *deeper: str | int) -> PolicyError:
        """An error about this key of this table (or about the table itself, where ``key`` is empty)."""
        path: Path = (*self._path, key, *deeper) if key else self._path
        named = ".".join(str(part) for part in path if not isinstance(part, int))
        return PolicyError(self.where, self._line_of(path), named, message)

    def _line_of(self, path: Path) -> int:
        # Of an inline table only the line of the key that holds it is known.
        for length in range(len(path), 0, -1):
            line = self._lines.known.get(path[:length])
            if line is not None:
                return line
        return 0

    def text(self, key: str, default: str | None = None) -> str:
        """A non-empty string; required without a default."""
        value = self._take(key, default)
        if not isinstance(value, str) or (not value.strip() and value != default):
            raise self.error(key, f"must be a text, not {_shown(value)}")
        return value

    def choice(self, key: str, among: Collection[str], default: str | None = None) -> str:
        """One of these strings."""
        value = self.text(key, default)
        if value not in among:
            raise self.error(key, f"`{value}` is none of {', '.join(among)}")
        return value

    def texts(self, key: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """A list of strings, none twice."""
        value = self._take(key, default)
        if isinstance(value, tuple):
            return value
        if not isinstance(value, list) or not all(isinstance(each, str) and each.strip() for each in value):
            raise self.error(key, f"must be a list of texts, not {_shown(value)}")
        if len(set(value)) != len(value):
            raise self.error(key, "names something twice")
        return tuple(value)

    def whole(self, key: str, *, least: int) -> int:
        """An integer of at least ``least``."""
        value = self._take(key, None)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise self.error(key, f"must be a whole number of at least {least}, not {_shown(value)}")
        return value

    def flag(self, key: str) -> bool:
        """``true`` or ``false``; required."""
        value = self._take(key, None)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, not {_shown(value)}")
        return value

    def raw(self, key: str) -> object:
        """Whatever stands there; required."""
        return self._take(key, None)

    def table(self, key: str) -> Table | None:
        """The sub-table of this name, or None."""
        self._known.add(key)
        value = self._values.get(key)
        if value is None:
            return None
        self._taken.add(key)
        if not isinstance(value, dict):
            raise self.error(key, f"must be a table, [{key}], not {_shown(value)}")
        return Table(value, where=self.where, lines=self._lines, path=(*self._path, key))

    def tables(self, key: str) -> list[Table]:
        """The tables of an array of tables; none where the key is absent."""
        value = self._values.get(key, [])
        self._taken.add(key)
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.error(key, f"must be a list of tables, [[{key}]], not {_shown(value)}")
        return [
            Table(each, where=self.where, lines=self._lines, path=(*self._path, key, number))
            for number, each in enumerate(value)
        ]

    def done(self, *, also: Collection[str] = ()) -> None:
        """Every key was asked for, or is one of ``also``. Raises PolicyError naming the first other, and the known."""
        for key in self._values:
            if key not in self._taken and key not in also:
                known = ", ".join(sorted({*self._known, *self._taken, *also}))
                raise self.error(key, f"is not known here; known are {known}")

    def _take(self, key: str, default: object) -> object:
        self._taken.add(key)
        if key in self._values:
            return self._values[key]
        if default is None:
            # A required key that is misspelt is both missing and unknown: say where it stands.
            near = get_close_matches(key, self._values.keys() - self._known - self._taken, n=1, cutoff=0.7)
            if near:
                raise self.error(near[0], f"`{key}` is missing: is it meant here?")
            raise self.error("", f"`{key}` is missing")
        return default


def read_toml(text: str, *, where: str) -> Table:
    """The document as a table. Raises PolicyError with the line where it is not TOML."""
    try:
        # Editors of Windows begin a file with a mark that nobody sees; it is not part of the document.
        values = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise PolicyError(where, line, "", f"is not TOML: {error}") from error
    except RecursionError as error:
        raise PolicyError(where, 0, "", "is nested too deeply to be read") from error
    except ValueError as error:
        # Python reads no whole number of more than a few thousand digits.
        raise PolicyError(where, 0, "", "has a number that is too long to be read") from error
    return Table(values, where=where, lines=Lines(text))


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Every comment of a document, with its line, from 1. The text must be valid TOML."""
    for found in _STRING.finditer(text):
        if found[0].startswith("#"):
            yield text.count("\n", 0, found.start()) + 1, found[0]


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*=""")
_STRING = re.compile(
    r'''"""(?:\\.|[^\\])*?"""|\'\'\'.*?\'\'\'|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\#[^\n]*''',
    re.DOTALL,
)


def _find_lines(text: str) -> dict[Path, int]:
    # tomllib keeps no positions. The text is known to be valid TOML, so it is enough to blank what could look like
    # structure (strings, comments) and to follow headers and keys at bracket depth 0.
    blanked = _STRING.sub(_blank, text)
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    #: The key whose value is being read, and how many inline tables of its list were met: a list may take many lines.
    key_path, listed = table, 0
    depth = 0
    for number, (plain, whole) in enumerate(zip(blanked.split("\n"), text.split("\n"), strict=True), start=1):
        if depth == 0 and (header := _HEADER.match(plain)):
            table = _resolve(_split(whole.strip().strip("[]").split("]")[0]), counts, array=header[1] == "[[")
            lines.setdefault(table, number)
            if header[1] == "[[":
                # The list itself begins where its first table does.
                lines.setdefault(table[:-1], number)
            continue
        # What looks like a key inside a text of many lines is blank where its sign should be.
        if depth == 0 and (key := _KEY.match(whole)) and plain[key.end() - 1] == "=":
            key_path, listed = table, 0
            for part in _split(key[1]):
                key_path = (*key_path, part)
                lines.setdefault(key_path, number)
        begun = depth
        depth += sum(plain.count(mark) for mark in "[{") - sum(plain.count(mark) for mark in "]}")
        if (begun or depth) and "{" in plain:
            for _ in range(_tables_opened(plain, begun)):
                lines.setdefault((*key_path, listed), number)
                listed += 1
    return lines


def _tables_opened(plain: str, depth: int) -> int:
    """How many tables of the list that is being read begin on this line."""
    found = 0
    for mark in plain:
        if mark in "[{":
            depth += 1
            found += mark == "{" and depth == 2
        elif mark in "]}":
            depth -= 1
    return found


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def _split(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _resolve(parts: list[str], counts: dict[Path, int], *, array: bool) -> Path:
    path: Path = ()
    for part in parts[:-1]:
        path = (*path, part)
        if path in counts:
            path = (*path, counts[path] - 1)
    path = (*path, parts[-1])
    if not array:
        return path
    counts[path] = counts.get(path, 0) + 1
    return (*path, counts[path] - 1)


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
