"""Of the settings of an OpenDocument text those by which its lines and pages are laid out, without which it would look
otherwise. Each is yes or no; printers, views, paths and whatever else stands there stay behind.

Source: OASIS OpenDocument 1.3, part 3, 3.10 (settings); names as LibreOffice's writer gives them.
"""

from __future__ import annotations

from typing import Any

from coordinator.cleaning.packages import parsed, written

_OFFICE, _CONFIG = (f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0" for name in ("office", "config"))
_KEPT = """
EmptyDbFieldHidesPara SubtractFlysAnchoredAtFlys PropLineSpacingShrinksFirstLine GutterAtTop UnbreakableNumberings
ApplyParagraphMarkFormatToNumbering TreatSingleColumnBreakAsPageBreak WordLikeWrapForAsCharFlys ContinuousEndnotes
ClippedPictures FloattableNomargins HeaderSpacingBelowLastPara UseOldPrinterMetrics TabOverMargin
TabsRelativeToIndent UseOldNumbering InvertBorderSpacing AddParaSpacingToTableCells FrameAutowidthWithMorePara
UseFormerTextWrapping ClipAsCharacterAnchoredWriterFlyFrames IsKernAsianPunctuation
AutoFirstLineIndentDisregardLineSpace AddExternalLeading AddParaTableSpacing StylesNoDefault
AddParaTableSpacingAtStart OutlineLevelYieldsNumbering FootnoteInColumnToPageEnd AlignTabStopPosition
UseFormerLineSpacing AddParaLineSpacingToTableCells UseFormerObjectPositioning SurroundTextWrapSmall
ConsiderTextWrapOnObjPos MsWordCompTrailingBlanks TabAtLeftIndentForParagraphsInList TabOverSpacing TabOverflow
IgnoreFirstLineIndentInNumbering NoNumberingShowFollowBy DoNotJustifyLinesWithManualBreak
DoNotResetParaAttrsForNumFont AddFrameOffsets IgnoreTabsAndBlanksForLineCalculation DoNotCaptureDrawObjsOnPage
AddVerticalFrameOffsets TableRowKeep UnxForceZeroExtLeading MsWordCompMinLineHeightByFly BackgroundParaOverDrawings
MathBaselineAlignment CollapseEmptyCellPara SmallCapsPercentage66 DisableOffPagePositioning
"""
_LAYOUT = frozenset(_KEPT.split())


def layout_only(raw: bytes) -> bytes:
    """Settings of our own with what these say of the layout. Raises Uncleanable."""
    said = {_of(each, "name"): (each.text or "").strip() for each in parsed(raw).iter(f"{{{_CONFIG}}}config-item")}
    items = "".join(
        f'<config:config-item config:name="{name}" config:type="boolean">{said[name]}</config:config-item>'
        for name in sorted(_LAYOUT & set(said)) if said[name] in ("true", "false")
    )  # fmt: skip
    return written(parsed((
        f'<office:document-settings xmlns:office="{_OFFICE}" xmlns:config="{_CONFIG}"'
        ' xmlns:ooo="http://openoffice.org/2004/office" office:version="1.3"><office:settings><config:config-item-set '
        f'config:name="ooo:configuration-settings">{items}</config:config-item-set></office:settings>'
        "</office:document-settings>"
    ).encode()))  # fmt: skip


def _of(each: Any, name: str) -> str:
    return str(each.get(f"{{{_CONFIG}}}{name}", ""))
