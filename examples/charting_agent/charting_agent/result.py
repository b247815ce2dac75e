"""The JSON result of `execute_python`.

It has the form of the service's result of executeCode, with two additions: the figures in `structuredContent`
(`image_urls` for figures in S3, `images` for figures in base64), and `debug_info`.
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


def run_result(
    program: str, code: str, run: RunResult, bucket: str | None, storage_errors: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the result of code that ran, whether it succeeded or failed.

    Args:
        program: The program that was sent to the interpreter.
        code: The code without the prologue.
        run: The result of the run.
        bucket: The bucket of the figures, if any.
        storage_errors: Errors of S3 by the path of the figure.
    """
    figures = [(int(match[1]), file) for file in run.files if (match := FIGURE.fullmatch(file.path))]
    output = [text for text in (run.stdout, run.stderr) if text]
    return {
        "content": [{"type": "text", "text": text} for text in output or [""]],
        "structuredContent": {
            "stdout": run.stdout,
            "stderr": run.stderr,
            "exitCode": run.exit_code,
            "executionTime": run.execution_time_ms / 1000,
            **_images(figures),
        },
        "isError": run.exit_code != 0,
        "debug_info": {
            "code_size": len(program),
            "original_code_size": len(code),
            "img_code_preview": program[-PREVIEW_CHARACTERS:],
            "stdout_length": len(run.stdout),
            "img_marker_found": bool(figures),
            "stdout_tail": run.stdout[-TAIL_CHARACTERS:],
            "images_found": len(figures),
            **(_upload(figures, bucket, storage_errors) if figures else {}),
            **({"skipped": [file.to_json() for file in run.skipped]} if run.skipped else {}),
        },
    }


def error_result(program: str, error: RunError) -> dict[str, Any]:
    """Returns the result if the run failed without a result of the code."""
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
    """Returns the figures in S3 and the figures in base64 as two lists, without empty lists."""
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


def _upload(
    figures: list[tuple[int, OutputFile]], bucket: str | None, storage_errors: Mapping[str, str]
) -> dict[str, Any]:
    """Returns whether all figures are in S3, and the reason if not."""
    uploaded = sum(file.s3_uri is not None for _, file in figures)
    info: dict[str, Any] = {"s3_upload_success": uploaded == len(figures), "uploaded_count": uploaded}
    if bucket is None:
        return info | {"s3_available": False, "fallback_reason": "no bucket is configured"}
    info |= {"s3_available": True, "s3_bucket": bucket}
    if uploaded < len(figures):
        message = "S3 upload failed, using base64 fallback"
        info |= {"fallback_reason": message, "s3_fallback_message": message}
    for number, file in figures:
        if file.path in storage_errors:
            info[f"s3_upload_error_fig{number}"] = storage_errors[file.path]
    return info
