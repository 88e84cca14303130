"""``module.yaml``, and modules written in a config: text to :class:`teapot.model.Module`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from teapot import yamltext
from teapot.checking import Check, Fields
from teapot.errors import ConfigError, Place, Problems
from teapot.model import Format, LicenseSpec, Module, Prepare, Source, Weight
from teapot.modules_format import FormatParser, ReadFile
from teapot.modules_rules import parse_license
from teapot.modules_sources import ROW_KEYS, RowSettings, SourceParser, url_problem
from teapot.weights import parse_weight
from teapot.yamltext import Mapping, Node, excerpt

MODULE_KEYS = ("name", "version", "description", "license", "maintainer", "homepage", "depends", "conflicts", "data", "training")
DATA_KEYS = ("sources", *(key for key in ROW_KEYS if key != "license"), "id", "prepare")
TRAINING_KEYS = ("suggested_weight", "min_examples")
PREPARE_KEYS = ("script",)
SHARED_KEYS = ("description", "license", "homepage", "depends", "conflicts")
INLINE_SOURCE_KEYS = ("source", *SHARED_KEYS, *(key for key in DATA_KEYS if key not in ("sources", "prepare", "filters")))
"""Of a module in a config with one ``source``; ``filters`` there belongs to the config's use of the module."""
INLINE_DATA_KEYS = ("data", *SHARED_KEYS)


def parse_module(text: str, file: str, *, folder: Path | None, read_file: ReadFile) -> Module:
    """The module that ``text``, a ``module.yaml``, declares.

    ``folder`` must end in the module's name. ``read_file`` gives the bytes of a file of the module, for ``system: {file: …}`` and ``prepare``.
    Raises :class:`ConfigError` with everything that is wrong.
    """
    check = Check(Problems())
    node = yamltext.parse(text, file)
    fields = check.fields(node, "a module", MODULE_KEYS, "begin with 'name: NAMESPACE/NAME'")
    module = None if fields is None else _Declaration(check, fields, read_file).module(folder)
    check.finish()
    assert module is not None
    return module


def parse_inline(check: Check, node: Mapping, name: str, place: Place) -> Module | None:
    """A module without a folder, from the mapping that a config has for it.

    The caller has checked the keys (:data:`INLINE_SOURCE_KEYS`, or :data:`INLINE_DATA_KEYS` beside ``data``). A path is relative to the project.
    The one source is called like the module, with ``-`` for ``/``, unless it has an id.
    """
    fields = Fields(node)
    declaration = _Declaration(check, fields, None)
    shared = declaration.shared(name)
    if "data" in fields:
        data = declaration.data()
        return None if data is None else declaration.build(name, shared, data, place)
    source_node = fields.get("source")
    assert source_node is not None
    source = declaration.sources.parse(source_node, name.replace("/", "-"))
    if source is not None and len(source.id) > 100:
        check.add("the module's name is too long for its source", source_node.place, "add 'id: NAME' to the source")
    if source is not None and source.use == "eval":
        check.add(f"module '{name}' has no source to train on", source_node.place, "remove 'use: eval'")
    rows = RowSettings(check, Fields(_without(node, "license", "filters")), declaration.formats, "id")
    found = () if source is None else (source,)
    form = declaration.format(rows.format, found, has_prepare=False, given="format" in fields, failed=source is None)
    return None if source is None or form is None else declaration.build(name, shared, _Data(found, rows, form, None), place)


def _without(node: Mapping, *keys: str) -> Mapping:
    return Mapping(tuple(entry for entry in node.entries if entry.key not in keys), node.place)


@dataclass(frozen=True, slots=True)
class _Data:
    sources: tuple[Source, ...]
    rows: RowSettings
    format: Format
    prepare: Prepare | None


@dataclass(frozen=True, slots=True)
class _Shared:
    license: LicenseSpec | None
    description: str | None
    homepage: str | None
    depends: tuple[str, ...]
    conflicts: tuple[str, ...]


class _Declaration:
    """One declaration being read; every method adds what it finds wrong to ``check``."""

    def __init__(self, check: Check, fields: Fields, read_file: ReadFile | None) -> None:
        self.check = check
        self.fields = fields
        self.read_file = read_file
        self.formats = FormatParser(check, read_file)
        self.sources = SourceParser(check, self.formats)

    def module(self, folder: Path | None) -> Module | None:
        check, fields = self.check, self.fields
        name_node = check.need(fields, "name", "a module", "add 'name: NAMESPACE/NAME'")
        name = None if name_node is None else check.module_name(name_node, "'name'")
        if name is not None and name_node is not None and folder is not None and name != "/".join(folder.parts[-2:]):
            check.add(
                f"'name' is '{name}', but the module's folder is '{excerpt('/'.join(folder.parts[-2:]))}'",
                name_node.place,
                "make the two the same",
            )
        shared = self.shared(name)
        version, maintainer = self._text("version"), self._text("maintainer")
        data_node = check.need(fields, "data", "a module", "add 'data: {sources: […], format: …}'")
        data = None if data_node is None else self.data()
        suggested, least = self._training()
        if name is None or data is None or shared.license is None:
            return None
        return self.build(
            name,
            shared,
            data,
            fields.place if name_node is None else name_node.place,
            folder=folder,
            version=version,
            maintainer=maintainer,
            suggested=suggested,
            least=least,
        )

    def build(
        self,
        name: str,
        shared: _Shared,
        data: _Data,
        place: Place,
        *,
        folder: Path | None = None,
        version: str | None = None,
        maintainer: str | None = None,
        suggested: Weight | None = None,
        least: int | None = None,
    ) -> Module | None:
        if shared.license is None:
            return None
        return Module(
            name=name,
            sources=data.sources,
            license=shared.license,
            format=data.format,
            version=version,
            description=shared.description,
            maintainer=maintainer,
            homepage=shared.homepage,
            depends=shared.depends,
            conflicts=shared.conflicts,
            roles=data.rows.roles or (),
            filters=data.rows.filters,
            keep=data.rows.keep or (),
            cap=data.rows.cap,
            id_field=data.rows.id_field,
            category=data.rows.category,
            examples=data.rows.examples,
            prepare=data.prepare,
            suggested_weight=suggested,
            min_examples=least,
            folder=folder,
            place=place,
        )

    # ---- the parts

    def _text(self, key: str) -> str | None:
        node = self.fields.get(key)
        return None if node is None else self.check.text(node, f"'{key}'")

    def shared(self, name: str | None) -> _Shared:
        check, fields = self.check, self.fields
        license_node = check.need(fields, "license", "a module", "add 'license: SPDX-EXPRESSION', for example 'license: CC-BY-4.0'")
        license_spec = None if license_node is None else parse_license(check, license_node)
        description_node, homepage_node = fields.get("description"), fields.get("homepage")
        description = None if description_node is None else check.string(description_node, "'description'")
        homepage = None if homepage_node is None else check.text(homepage_node, "'homepage'", 2000)
        if (
            homepage is not None
            and homepage_node is not None
            and (wrong := url_problem(homepage.replace("http://", "https://", 1).split("#")[0]))
        ):
            check.add(f"'homepage' {wrong}", homepage_node.place, "write https://HOST/PATH")
        depends, conflicts = self._names("depends", name), self._names("conflicts", name)
        for both in sorted(set(depends) & set(conflicts)):
            node = fields.get("conflicts")
            check.add(f"'{both}' is in 'depends' and in 'conflicts'", None if node is None else node.place, "remove it from one of the two")
        return _Shared(license_spec, description, homepage, depends, conflicts)

    def _names(self, key: str, own: str | None) -> tuple[str, ...]:
        node = self.fields.get(key)
        if node is None:
            return ()
        names = self.check.list_of(node, f"'{key}'", lambda item: self.check.module_name(item, f"'{key}'"), empty=True) or ()
        if own is not None and own in names:
            self.check.add(f"'{key}' names the module itself", node.place, f"remove '{own}'")
        return names

    def _training(self) -> tuple[Weight | None, int | None]:
        node = self.fields.get("training")
        fields = None if node is None else self.check.fields(node, "'training'", TRAINING_KEYS)
        if fields is None:
            return None, None
        weight_node, least_node = fields.get("suggested_weight"), fields.get("min_examples")
        weight = None if weight_node is None else parse_weight(self.check, weight_node, "'suggested_weight'")
        return weight, None if least_node is None else self.check.integer(least_node, "'min_examples'")

    def data(self) -> _Data | None:
        node = self.fields.get("data")
        assert node is not None
        check = self.check
        fields = check.fields(node, "'data'", DATA_KEYS, "write {sources: […], format: …}")
        if fields is None:
            return None
        before = len(check.problems.found)
        list_node = check.need(fields, "sources", "'data'", "add 'sources: [{id: NAME, repo: ORG/NAME, split: train}]'")
        sources = () if list_node is None else self._source_list(list_node)
        rows = RowSettings(check, fields, self.formats, "id")
        prepare_node = fields.get("prepare")
        prepare = None if prepare_node is None else self._prepare(prepare_node)
        failed = len(check.problems.found) > before
        form = self.format(rows.format, sources, has_prepare=prepare_node is not None, given="format" in fields, failed=failed)
        return None if form is None else _Data(sources, rows, form, prepare)

    def _source_list(self, node: Node) -> tuple[Source, ...]:
        check = self.check
        before = len(check.problems.found)
        found = check.list_of(node, "'sources'", self.sources.parse, unique=False) or ()
        ids: dict[str, Source] = {}
        for source in found:
            first = ids.setdefault(source.id, source)
            if first is not source:
                line = "" if first.place is None else f", first in line {first.place.line}"
                check.add(f"the source id '{source.id}' stands twice{line}", source.place, "give one of them another id")
        if len(check.problems.found) == before and not any(source.use == "train" for source in found):
            check.add("a module has no source to train on", node.place, "remove 'use: eval' from one, or add a source")
        return found

    def format(self, form: Format | None, sources: tuple[Source, ...], *, has_prepare: bool, given: bool, failed: bool) -> Format | None:
        """The module's format; it may be left out where every source to train on has its own, and beside ``prepare``, which writes messages."""
        if form is not None:
            return form
        own = bool(sources) and all(source.format is not None for source in sources if source.use == "train")
        if own or has_prepare:
            return Format("messages")
        if not given and not failed:
            self.check.add("a module has no 'format'", self.fields.place, "add 'format: messages', or another format")
        return None

    def _prepare(self, node: Node) -> Prepare | None:
        fields = self.check.fields(node, "'prepare'", PREPARE_KEYS, "write {script: prepare.py}")
        script_node = None if fields is None else self.check.need(fields, "script", "'prepare'", "add 'script: prepare.py'")
        path = None if script_node is None else self.check.inner_path(script_node, "'script'")
        if path is None or script_node is None:
            return None
        if self.read_file is None:
            self.check.add("a module without a folder has no files", script_node.place, "make a folder modules/NAMESPACE/NAME for it")
            return None
        try:
            data = self.read_file(path, script_node.place)
        except ConfigError as error:
            self.check.problems.found.extend(error.problems)
            return None
        return Prepare(path, hashlib.sha256(data).hexdigest(), script_node.place)
