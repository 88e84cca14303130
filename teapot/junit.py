"""The result of a validation as JUnit XML, which CI systems show."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from teapot.ui import clean
from teapot.verbs.validate import Report
from teapot.writer import writing


def write_junit(path: Path, report: Report) -> None:
    """One test case per check, and one per problem.

    Raises:
        OutputError: it cannot be written.
    """
    problems = report.all_problems()
    suite = ElementTree.Element(
        "testsuite",
        name="teapot validate compose",
        tests=str(len(report.checks) + len(problems) + len(report.skipped)),
        failures=str(len(problems)),
        skipped=str(len(report.skipped)),
    )
    for name, covered in report.checks:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(report.file), name=name)
        ElementTree.SubElement(case, "system-out").text = _xml(covered)
    for text in report.skipped:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(report.file), name=_xml(text))
        ElementTree.SubElement(case, "skipped")
    for problem in problems:
        case = ElementTree.SubElement(suite, "testcase", classname=_xml(report.file), name=_xml(str(problem.place or "problem")))
        ElementTree.SubElement(case, "failure", message=_xml(problem.message)).text = _xml(problem.hint or "")
    with writing(path):
        path.write_bytes(ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True) + b"\n")


def _xml(text: str) -> str:
    """Text that XML 1.0 allows (section 2.2): no controls, no surrogates, and neither U+FFFE nor U+FFFF."""
    return clean(text).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")
