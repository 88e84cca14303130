"""``format:`` of a module or a source: a named format with renamed columns, or templates that build the row."""

from __future__ import annotations

from collections.abc import Callable

from teapot.checking import Check, Fields, describe
from teapot.errors import ConfigError, Place
from teapot.model import Format, Text, Turn
from teapot.modules_rules import ROLES, field_path
from teapot.yamltext import Mapping, Node, Scalar, excerpt

ReadFile = Callable[[str, Place], bytes]
"""The bytes of a file of the module, by its path relative to the module's folder; the place is where the path is written."""

RENAMES: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "role", "content", "tools"),
    "sharegpt": ("conversations", "from", "value", "tools"),
    "alpaca": ("instruction", "input", "output", "system", "history"),
    "prompt-completion": ("prompt", "completion"),
    "question-answer": ("question", "answer", "tools"),
    "preference": ("prompt", "chosen", "rejected"),
    "labelled": ("messages", "label", "role", "content", "tools"),
    "prompt-only": ("prompt", "reference"),
    "text": ("text",),
}
"""The named formats and the columns of each that can be renamed."""

WITH_SYSTEM = ("messages", "sharegpt", "question-answer", "labelled", "alpaca")
"""The formats to which ``system:`` can add a message. For alpaca a plain text there is the column to read."""

TEMPLATE_SETS = (("prompt", "completion"), ("prompt", "chosen", "rejected"), ("prompt", "reference"), ("text",))
TEMPLATE_KEYS = ("prompt", "completion", "chosen", "rejected", "reference", "text")
COLUMN_KEYS = ("tools", "label", "explode")
MAPPING_KEYS = ("messages", *ROLES, *COLUMN_KEYS, *TEMPLATE_KEYS)
TURN_KEYS = (*ROLES, "from")

MAX_TEMPLATE = 100_000

_NAMES_HINT = f'write one of: {", ".join(RENAMES)}; or a mapping such as {{user: "{{{{ question }}}}", assistant: "{{{{ answer }}}}"}}'


class FormatParser:
    """Parses formats; template files are read through ``read_file``, which is absent for a module without a folder."""

    def __init__(self, check: Check, read_file: ReadFile | None) -> None:
        self.check = check
        self.read_file = read_file

    def parse(self, node: Node) -> Format | None:
        if isinstance(node, Scalar):
            name = self.check.choice(node, "'format'", RENAMES) if isinstance(node.value, str) else None
            if not isinstance(node.value, str):
                self.check.add(f"'format' must be a format's name or a mapping, not {describe(node)}", node.place, _NAMES_HINT)
            return None if name is None else Format(name, place=node.place)
        mapping = self.check.mapping(node, "'format'", _NAMES_HINT)
        if mapping is None:
            return None
        return self._named(mapping) if mapping.entry("name") else self._templates(mapping)

    # ---- named formats

    def _named(self, mapping: Mapping) -> Format | None:
        name_node = mapping.get("name")
        assert name_node is not None
        name = self.check.choice(name_node, "'name' of the format", RENAMES)
        if name is None:
            return None
        allowed = ("name", *RENAMES[name], *(("system",) if name in WITH_SYSTEM else ()))
        self.check.fields(mapping, "'format'", allowed)
        columns: list[tuple[str, str]] = []
        system: Turn | None = None
        for entry in mapping.entries:
            if entry.key == "system" and (name != "alpaca" or isinstance(entry.value, Mapping)) and name in WITH_SYSTEM:
                system = self._turn("system", entry.value)
            elif entry.key in RENAMES[name]:
                column = field_path(self.check, entry.value, f"the column for '{entry.key}'")
                if column is not None:
                    columns.append((entry.key, column))
        return Format(name, tuple(columns), system, place=mapping.place)

    # ---- templates

    def _templates(self, mapping: Mapping) -> Format | None:
        fields = self.check.fields(mapping, "'format'", ("name", *MAPPING_KEYS) if mapping.entries else ())
        assert fields is not None
        if any(entry.key not in MAPPING_KEYS for entry in mapping.entries):
            return None
        keys = [key for key in mapping.names() if key not in COLUMN_KEYS]
        kinds = ["messages"] * ("messages" in keys) + ["roles"] * any(key in ROLES for key in keys)
        kinds += ["templates"] * any(key in TEMPLATE_KEYS for key in keys)
        if len(kinds) != 1:
            said = "mixes 'messages', roles and templates" if kinds else "has neither a name nor templates"
            self.check.add(f"'format' {said}", mapping.place, _NAMES_HINT)
            return None
        if kinds == ["templates"]:
            return self._plain(fields, keys)
        columns = tuple((key, column) for key in ("tools", "label") if (column := self._column(fields, key)) is not None)
        turns = self._turns(fields) if kinds == ["messages"] else self._short_turns(fields)
        return Format("mapping", columns, turns=turns, explode=self._column(fields, "explode"), place=mapping.place)

    def _column(self, fields: Fields, key: str) -> str | None:
        node = fields.get(key)
        return None if node is None else field_path(self.check, node, f"'{key}'")

    def _plain(self, fields: Fields, keys: list[str]) -> Format | None:
        for key in COLUMN_KEYS:
            entry = fields.entry(key)
            if entry is not None:
                self.check.add(f"'{key}' goes with messages only", entry.place, "remove it")
        if not any(set(keys) == set(wanted) for wanted in TEMPLATE_SETS):
            sets = "; ".join(" + ".join(wanted) for wanted in TEMPLATE_SETS)
            self.check.add(f"'format' has templates for {', '.join(keys)}", fields.place, f"these go together: {sets}")
            return None
        templates: list[tuple[str, Text]] = []
        for key in keys:
            node = fields.get(key)
            text = None if node is None else self._text(node, f"'{key}'")
            if text is not None:
                templates.append((key, text))
        return Format("mapping", templates=tuple(templates), place=fields.place)

    def _short_turns(self, fields: Fields) -> tuple[Turn, ...]:
        turns = [self._turn(entry.key, entry.value) for entry in fields.node.entries if entry.key in ROLES]
        return tuple(turn for turn in turns if turn is not None)

    def _turns(self, fields: Fields) -> tuple[Turn, ...]:
        node = fields.get("messages")
        assert node is not None
        if isinstance(node, Scalar):
            self.check.add(
                f"'messages' must be a list of turns, not {describe(node)}",
                node.place,
                "for a column write {name: messages, messages: COLUMN}",
            )
            return ()
        return self.check.list_of(node, "'messages'", self._one_turn, unique=False) or ()

    def _one_turn(self, node: Node) -> Turn | None:
        fields = self.check.fields(node, "a turn", TURN_KEYS, 'write {user: "{{ question }}"}, or {from: COLUMN}')
        if fields is None or any(entry.key not in TURN_KEYS for entry in fields.node.entries):
            return None
        if len(fields.node.entries) != 1:
            self.check.add(f"a turn has one key, not {len(fields.node.entries)}", node.place, "begin each turn with '- '")
            return None
        entry = fields.node.entries[0]
        if entry.key == "from":
            column = field_path(self.check, entry.value, "'from'")
            return None if column is None else Turn(column=column)
        return self._turn(entry.key, entry.value)

    def _turn(self, role: str, node: Node) -> Turn | None:
        """``"template"``, ``{text|file, mode}`` (mode for system only) or ``{content, tool_calls}`` (assistant only)."""
        if not isinstance(node, Mapping):
            text = self._text(node, f"'{role}'")
            return None if text is None else Turn(role, text)
        known = ("text", "file", *(("mode",) if role == "system" else ()), *(("content", "tool_calls") if role == "assistant" else ()))
        fields = self.check.fields(node, f"'{role}'", known)
        assert fields is not None
        if any(entry.key not in known for entry in node.entries):
            return None
        calls = self._column(fields, "tool_calls")
        given = [key for key in ("text", "file", "content") if key in fields]
        if len(given) != 1 and not (not given and "tool_calls" in fields):
            self.check.add(f"'{role}' needs one of {', '.join(key for key in known if key not in ('mode', 'tool_calls'))}", node.place)
            return None
        content = self._turn_content(fields, given[0], role) if given else None
        mode_node = fields.get("mode")
        mode = None if mode_node is None else self.check.choice(mode_node, "'mode'", ("if_missing", "replace"))
        if content is None and calls is None:
            return None
        return Turn(role, content, calls, mode="replace" if mode == "replace" else "if_missing")

    def _turn_content(self, fields: Fields, key: str, role: str) -> Text | None:
        node = fields.get(key)
        assert node is not None
        if key == "file":
            return self._file(node)
        return self._literal(node, f"'{key}' of '{role}'")

    def _text(self, node: Node, what: str) -> Text | None:
        """``"template"`` or ``{text|file}``."""
        if not isinstance(node, Mapping):
            return self._literal(node, what)
        fields = self.check.fields(node, what, ("text", "file"))
        assert fields is not None
        inner = [fields.get(key) for key in ("text", "file")]
        if (inner[0] is None) == (inner[1] is None):
            self.check.add(f"{what} needs one of text, file", node.place)
            return None
        return self._literal(inner[0], what) if inner[0] is not None else self._file(inner[1])

    def _literal(self, node: Node, what: str) -> Text | None:
        if not isinstance(node, Scalar):
            self.check.add(f"{what} must be a template, not {describe(node)}", node.place, 'write it in quotes: "{{ column }}"')
            return None
        value = self.check.string(node, what)
        return None if value is None or not self._fits(value, what, node.place) else Text(value)

    def _file(self, node: Node | None) -> Text | None:
        assert node is not None
        path = self.check.inner_path(node, "'file'")
        if path is None:
            return None
        if self.read_file is None:
            self.check.add("a module without a folder has no files", node.place, "write the text here, with 'text: |'")
            return None
        try:
            data = self.read_file(path, node.place)
        except ConfigError as error:
            self.check.problems.found.extend(error.problems)
            return None
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            self.check.add(f"'{excerpt(path)}' is not UTF-8", node.place, "save the file as UTF-8")
            return None
        # Editors end a file with a line break, which nobody means to be part of a prompt.
        text = text.removesuffix("\n").removesuffix("\r")
        return Text(text, path) if self._fits(text, f"'{excerpt(path)}'", node.place) else None

    def _fits(self, text: str, what: str, place: Place) -> bool:
        if len(text) > MAX_TEMPLATE:
            self.check.add(f"{what} has {len(text)} characters, and the limit is {MAX_TEMPLATE}", place)
        elif not text.strip():
            self.check.add(f"{what} is empty", place, "write a template, or remove the key")
        else:
            return True
        return False
