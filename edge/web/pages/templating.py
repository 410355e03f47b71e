"""The templates of the pages: compiled once in a process, at a page's first use."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from edge.web.pages import views
from edge.web.pages.locales import Locale
from edge.web.pages.navigation import ACCOUNT_TABS, OPERATOR_TABS
from edge.web.pages.static import versioned

TEMPLATES = Path(__file__).parent.parent / "templates"


@cache
def templates() -> Environment:
    """What every portal renders with. It holds nothing of one: ``locale`` and whoever is logged in come with
    each rendering.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters.update(views.FILTERS)
    environment.globals.update(
        static=versioned,
        conversation=views.conversation_path,
        account_tabs=ACCOUNT_TABS,
        operator_tabs=OPERATOR_TABS,
    )
    return environment


@pass_context
def _gettext(context: Context, message: str) -> str:
    """A template that is imported must be imported with its context, or it has no language."""
    locale: Locale = context["locale"]
    return locale.gettext(message)


@pass_context
def _ngettext(context: Context, one: str, many: str, count: int) -> str:
    locale: Locale = context["locale"]
    return locale.ngettext(one, many, count)
