"""The JSON that `execute_python` returns, key by key.

As the service answers executeCode, with the figures added to `structuredContent` (`image_urls` for those in S3,
`images` in base64 for the others) and `debug_info` beside it.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandpiper_contract.errors import RunError
    from sandpiper_contract.files import OutputFile
    from sandpiper_contract.results import RunResult

FIGURE = re.compile(r"figure-(\d+)(?:-\d+)?\.png")
PREVIEW_CHARACTERS = 200
TAIL_CHARACTERS = 300


def of_run(program: str, code: str, ran: RunResult, bucket: str | None, refusals: Mapping[str, str]) -> dict[str, Any]:
    """The result of code that ran, also when it failed. `program` is what was sent for `code`.

    `refusals` says by path why S3 did not take a figure.
    """
    figures = [(int(match[1]), file) for file in ran.files if (match := FIGURE.fullmatch(file.path))]
    printed = [text for text in (ran.stdout, ran.stderr) if text]
    return {
        "content": [{"type": "text", "text": text} for text in printed or [""]],
        "structuredContent": {
            "stdout": ran.stdout,
            "stderr": ran.stderr,
            "exitCode": ran.exit_code,
            "executionTime": ran.execution_time_ms / 1000,
            **_images(figures),
        },
        "isError": ran.exit_code != 0,
        "debug_info": {
            "code_size": len(program),
            "original_code_size": len(code),
            "img_code_preview": program[-PREVIEW_CHARACTERS:],
            "stdout_length": len(ran.stdout),
            "img_marker_found": bool(figures),
            "stdout_tail": ran.stdout[-TAIL_CHARACTERS:],
            "images_found": len(figures),
            **(_upload(figures, bucket, refusals) if figures else {}),
            **({"skipped": [file.to_json() for file in ran.skipped]} if ran.skipped else {}),
        },
    }


def of_error(program: str, error: RunError) -> dict[str, Any]:
    """The result where there is none of the code's own."""
    return {
        "isError": True,
        "structuredContent": {"stdout": "", "stderr": f"Error executing code: {error}", "exitCode": 1},
        "debug_info": {
            "error_type": type(error).__name__,
            "error_message": str(error),
            "code_size": len(program),
        },
    }


def _images(figures: list[tuple[int, OutputFile]]) -> dict[str, Any]:
    """Every figure, in one of the two lists; an empty list is left out."""
    urls = [
        {"figure": number, "url": file.link, "s3_key": file.s3_uri.key}
        for number, file in figures
        if file.s3_uri is not None
    ]
    inline = [
        {"i": number, "d": base64.b64encode(file.base64).decode()}
        for number, file in figures
        if file.base64 is not None
    ]
    return {name: images for name, images in (("image_urls", urls), ("images", inline)) if images}


def _upload(figures: list[tuple[int, OutputFile]], bucket: str | None, refusals: Mapping[str, str]) -> dict[str, Any]:
    """Whether all figures are in S3, and if not, why."""
    uploaded = sum(file.s3_uri is not None for _, file in figures)
    said: dict[str, Any] = {"s3_upload_success": uploaded == len(figures), "uploaded_count": uploaded}
    if bucket is None:
        return said | {"s3_available": False, "fallback_reason": "no bucket is configured"}
    said |= {"s3_available": True, "s3_bucket": bucket}
    if uploaded < len(figures):
        message = "S3 upload failed, using base64 fallback"
        said |= {"fallback_reason": message, "s3_fallback_message": message}
    for number, file in figures:
        if file.path in refusals:
            said[f"s3_upload_error_fig{number}"] = refusals[file.path]
    return said
