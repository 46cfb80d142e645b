"""From what was found to one HTML file: templates, styles, scripts and data in it, nothing fetched.

Text is escaped where it becomes HTML, and data where it becomes JSON inside a script element. A content security policy
allows just the scripts of the page, by their digests, and no connection, so that even a slip there would run nothing.
"""

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinspectra.errors import MissingExtraError
from spinspectra.plots import style
from spinspectra.report.drawing import DARK

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_ASSETS = Path(__file__).parent / "assets"
_EXTRA = "pip install 'spinspectra[report]'"
_NAME = 64  # characters of a layer's name in the table


def require_extra() -> None:
    """Raises MissingExtraError unless jinja2 and plotly are installed; neither is imported."""
    for package in ("jinja2", "plotly"):
        if find_spec(package) is None:
            raise MissingExtraError(f"a report needs {package}: {_EXTRA}")


def render(template: str, context: Mapping[str, Any], data: Mapping[str, Any], layers: Sequence[Any]) -> str:
    """The page. context: for the template. data, layers: JSON for the script; a layer is read when opened."""
    from markupsafe import Markup

    scripts = [_plotly(), (_ASSETS / "page.js").read_text(encoding="utf-8")]
    blocks = [("page-data", dict(data) | {"dark": DARK})]
    blocks += [(f"layer-{at}-data", one) for at, one in enumerate(layers)]
    made = {
        "css": Markup((_ASSETS / "page.css").read_text(encoding="utf-8")),
        "scripts": [Markup(script) for script in scripts],
        "policy": _policy(scripts),
        "blocks": [(name, _json(value)) for name, value in blocks],
    }
    return _environment().get_template(template).render(**context, **made)


def plain(value: Any) -> Any:
    """As JSON has it: numpy's numbers as Python's, None for NaN and infinity."""
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(value: Any) -> "Markup":
    """JSON that no HTML parser sees an end or a tag in."""
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"short": _short, "truncated": lambda name: style.shortened(name, _NAME)}
    return made


def _short(name: str) -> "Markup":
    """A name cut in its middle if it is long, which may break after a dot, a slash or an underscore."""
    from markupsafe import Markup, escape

    text = style.shortened(name, _NAME)
    return Markup("").join(escape(c) + (Markup("<wbr>") if c in "./_" else "") for c in text)


def _plotly() -> str:
    """The library as plotly's package carries it; the package itself is not imported."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    text = (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(scripts: Sequence[str]) -> str:
    digests = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; "
        "form-action 'none'"
    )
