"""Texts that another person could write into a store, each made to do something in one medium or another.

``@`` stands for a mark, so that a test finds again where a text came out: :func:`marked`. The host of every address is
in the reserved domain ``example``.
"""

from __future__ import annotations

HOSTILE: tuple[str, ...] = (
    # --- Markdown of pages and of the card
    "![@](https://@.example/a.png)", "[@](https://@.example)", "[@]: https://@.example\n\n![@]", "<https://@.example>",
    "https://@.example/a.png", "see www.@.example now", "mail me at a@@.example", "**@** __@__ ~~@~~", "`@` ``@`",
    "# @\n## @", "1. @", "- @", "> @", "@ | @\n--|--\n@ | @", "@\n===", "***\n@", "    @ code", "```mermaid\n@\n```",
    "[![@](//@.example/a.gif)](javascript:alert(1))", "![@][1]\n\n[1]: http://@.example", "@[^1]\n\n[^1]: @",
    "&lt;b&gt;@ &#91;@&#93;(x)", "\\![@](x\\) \\", "]@](https://@.example) ![", "*_`[@", "a\\", "@ $x^2$ $$y$$ @",
    # --- what Streamlit adds to Markdown
    ":red[@] :blue-background[@]", ":rainbow[@]", ":material/delete: @", ":material_home: @", ":streamlit: @",
    ":smile: @ :shipit:", ":::note\n@\n:::", "@ <-> -> <= --",
    # --- HTML
    "<img src=https://@.example/a.png onerror=alert(1)>", "<script>@</script>", "</script><b>@</b>", "<!-- @ --> <b>",
    "\"><svg onload=alert('@')>", "' onmouseover='@", "<style>*{background:url(//@.example)}</style>", "]]><a href=x>@",
    # --- terminals and logs
    "@\x1b[31mred\x1b[0m", "@\x1b]0;title\x07", "\x1b[2J\x1b[H@", "@\rlgt: all runs are fine",
    "@\nlgt: all runs are fine\nok   store: @", "@\x9b31m \x85 \x7f", "@\b\b\b\b\x01x",
    "@ \x1b]8;;https://@.example\x1b\\link\x1b]8;;\x1b\\", "@\u2028lgt: fine\u2029x", "@\x0b\x0c\x1c\x1e",
    # --- what is not seen
    "abc\u202e@ gpj.exe", "@\u2066x\u2069\u200f\u061c", "@\u200b\u2060\ufeff\u00ad@", "a\u200d@\u200cb",
    "@\ufe0f\ufe01", "@\U000e0041\U000e0042", "\u3164@\u115f\uffa0", "@\ufff9x\ufffb",
    # --- spreadsheets
    "=HYPERLINK(\"https://@.example\";\"@\")", "+@", "-@+1", "@@SUM(1)", "\t=@", "\r=@", "x\r=@", "'=@", "＝@",
    "\n=1+@", "a,\"b\n=@",
    # --- shells
    "@; touch /tmp/@", "$(touch @)", "`touch @`", "@' || touch '@", "@\ntouch @", "--help @", "@ > /dev/null & x",
    "~@ *",
    # --- JSON, YAML, formats of Python, expressions of Vega
    '"@": "\\u0000"}', "---\nlicense: @\n---", "{@} {0.__class__} %s %n", "datum['@'] + alert(1)", "{{@}} ${@} {% @ %}",
)  # fmt: skip


def marked(number: int) -> str:
    """The text with this number, counted around, with a mark of its own: ``q7q``."""
    return HOSTILE[number % len(HOSTILE)].replace("@", f"q{number}q")


def all_marked() -> list[str]:
    """Every text with its mark."""
    return [marked(number) for number in range(len(HOSTILE))]
