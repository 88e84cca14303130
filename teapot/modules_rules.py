"""The parts of a declaration that say which rows count: filters, licenses, roles."""

from __future__ import annotations

from typing import get_args

from teapot import spdx
from teapot.checking import Check, Fields, describe
from teapot.errors import Place
from teapot.model import MAX_INTEGER, Filter, FilterOp, LicenseSpec
from teapot.yamltext import Entry, Mapping, Node, Scalar, Sequence, excerpt

ROLES = ("system", "user", "assistant", "tool")
FILTER_OPS: tuple[FilterOp, ...] = get_args(FilterOp)
FILTER_KEYS = ("field", "role", *FILTER_OPS)
FIELD_ONLY = ("min", "max", "exists")
LICENSE_KEYS = ("field", "default", "map")

_FILTER_HINT = "write {field: NAME, equals: VALUE} or {role: assistant, min_chars: 20}"


# ---------------------------------------------------------------- filters


def parse_filters(check: Check, node: Node) -> tuple[Filter, ...]:
    found = check.list_of(node, "'filters'", lambda item: _filter(check, item), unique=False, empty=True)
    return found or ()


def _filter(check: Check, node: Node) -> Filter | None:
    fields = check.fields(node, "a filter", FILTER_KEYS, _FILTER_HINT)
    if fields is None or any(entry.key not in FILTER_KEYS for entry in fields.node.entries):
        return None
    ops = [entry for entry in fields.node.entries if entry.key in FILTER_OPS]
    if len(ops) != 1:
        names = ", ".join(f"'{entry.key}'" for entry in ops)
        said = f"a filter has one condition, not {names}" if ops else "a filter has no condition"
        check.add(said, node.place, "write one filter for each condition" if ops else _FILTER_HINT)
        return None
    if ("field" in fields) == ("role" in fields):
        check.add("a filter is on one of 'field' and 'role'", node.place, _FILTER_HINT)
        return None
    return _condition(check, fields, ops[0])


def _condition(check: Check, fields: Fields, entry: Entry) -> Filter | None:
    op = next(known for known in FILTER_OPS if known == entry.key)
    field_node, role_node = fields.get("field"), fields.get("role")
    field = None if field_node is None else field_path(check, field_node, "'field'")
    role = None if role_node is None else check.choice(role_node, "'role'", ROLES)
    if role_node is not None and op in FIELD_ONLY:
        check.add(f"'{op}' is for fields, not for a role's content", entry.place, "use min_chars, max_chars, contains, equals …")
        return None
    before = len(check.problems.found)
    value = _filter_value(check, entry, op, on_role=role_node is not None)
    if len(check.problems.found) > before or (field is None and role is None):
        return None
    return Filter(op, value, field, role, fields.place)


def field_path(check: Check, node: Node, what: str) -> str | None:
    """The name of a field of a record; dots lead into nested objects."""
    value = check.text(node, what)
    if value is not None and not all(value.split(".")):
        check.add(f"{what} '{excerpt(value)}' has an empty part", node.place, "write NAME, or OUTER.INNER")
        return None
    return value


_FilterScalar = str | int | float | bool | None


def _filter_value(check: Check, entry: Entry, op: str, *, on_role: bool) -> _FilterScalar | tuple[_FilterScalar, ...]:
    what, node = f"'{op}'", entry.value
    if op in ("in", "not_in"):
        return _filter_list(check, node, what, on_role=on_role)
    if op in ("equals", "not_equals"):
        return _filter_scalar(check, node, what, on_role=on_role)
    if op in ("min_chars", "max_chars"):
        return check.integer(node, what, low=0)
    if op in ("min", "max"):
        number = check.number(node, what, -MAX_INTEGER, MAX_INTEGER)
        return node.value if number is not None and isinstance(node, Scalar) else None
    if op == "exists":
        return check.boolean(node, what)
    text = check.string(node, what)
    if text == "":
        check.add(f"{what} is empty, so it is true of every text", node.place, "write some text, or remove the filter")
    return text


def _filter_list(check: Check, node: Node, what: str, *, on_role: bool) -> tuple[_FilterScalar, ...]:
    if not isinstance(node, Sequence):
        check.add(f"{what} must be a list, not {describe(node)}", node.place, f"write {what[1:-1]}: [ONE, TWO]")
        return ()
    if not node.items:
        check.add(f"{what} is an empty list", node.place, "name at least one value")
    return tuple(_filter_scalar(check, item, what, on_role=on_role) for item in node.items)


def _filter_scalar(check: Check, node: Node, what: str, *, on_role: bool) -> _FilterScalar:
    if not isinstance(node, Scalar):
        check.add(f"{what} compares with a text, a number, true, false or null, not {describe(node)}", node.place)
        return None
    if node.value is None and not node.text:
        check.add(f"{what} has no value", node.place, 'write null, or "" for empty text')
        return None
    if on_role:
        return check.string(node, what)
    if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        check.number(node, what, -MAX_INTEGER, MAX_INTEGER)
    return node.value


# ---------------------------------------------------------------- licenses and roles


def license_text(check: Check, node: Node, what: str) -> str | None:
    """An SPDX expression or a Hub license id, in canonical spelling."""
    value = check.text(node, what, spdx.MAX_CHARS)
    return None if value is None else normal_license(check, value, node.place, what)


def normal_license(check: Check, value: str, place: Place, what: str) -> str | None:
    try:
        return spdx.normalise(value)
    except ValueError as error:
        check.add(f"{what}: {error}", place, "see https://spdx.org/licenses, or write LicenseRef-NAME for a license of your own")
        return None


def parse_license(check: Check, node: Node) -> LicenseSpec | None:
    """One expression, or ``{field, default, map}``."""
    if not isinstance(node, Mapping):
        expression = license_text(check, node, "'license'")
        return None if expression is None else LicenseSpec(expression)
    fields = check.fields(node, "'license'", LICENSE_KEYS)
    assert fields is not None
    field_node = check.need(fields, "field", "'license'", "write one SPDX expression, or {field: NAME, default: EXPRESSION}")
    field = None if field_node is None else field_path(check, field_node, "'field' of the license")
    default_node, map_node = fields.get("default"), fields.get("map")
    default = None if default_node is None else license_text(check, default_node, "'default' of the license")
    table: list[tuple[str, str]] = []
    mapping = None if map_node is None else check.mapping(map_node, "'map' of the license", "write {VALUE: EXPRESSION}")
    for entry in () if mapping is None else mapping.entries:
        expression = license_text(check, entry.value, f"the license for '{excerpt(entry.key)}'")
        if expression is not None:
            table.append((entry.key, expression))
    return None if field is None else LicenseSpec(None, field, default, tuple(table))


def parse_roles(check: Check, node: Node) -> tuple[tuple[str, str], ...]:
    """Role names of the data and the roles that they stand for."""
    mapping = check.mapping(node, "'roles'", "write {human: user, gpt: assistant}")
    found: list[tuple[str, str]] = []
    for entry in () if mapping is None else mapping.entries:
        role = check.choice(entry.value, f"the role for '{excerpt(entry.key)}'", ROLES)
        if role is not None:
            found.append((entry.key, role))
    return tuple(found)
