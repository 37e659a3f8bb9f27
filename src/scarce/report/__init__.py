"""The report: one self-contained page that an inspector understands without us."""

from scarce.report.model import (
    Check,
    ChecklistItem,
    ChosenMetric,
    ClassResult,
    Comparison,
    Decision,
    DuplicateGroup,
    Exhibit,
    Fault,
    Grown,
    Interval,
    LabelError,
    Mistake,
    OperatingPoint,
    QualityPart,
    ReportData,
    TestResult,
)
from scarce.report.page import render, to_html

__all__ = [
    "Check",
    "ChecklistItem",
    "ChosenMetric",
    "ClassResult",
    "Comparison",
    "Decision",
    "DuplicateGroup",
    "Exhibit",
    "Fault",
    "Grown",
    "Interval",
    "LabelError",
    "Mistake",
    "OperatingPoint",
    "QualityPart",
    "ReportData",
    "TestResult",
    "render",
    "to_html",
]
