"""Files outside docs/ that its pages link to, as pages of the site: a hook of mkdocs, named in mkdocs.yml.

A page of docs/ links to an example as it lies in the repository, so that the link works there, too:

    [pipe.toml](../examples/systems/pipe.toml)   ->   source/examples/systems/pipe.toml.html on the site

Text files become a page with their text, Markdown and notebooks a page of their own, a folder the list of its files;
all that such a page links to comes along. A link to what is not there fails the build, which is strict.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
SITE = "source"
"""The folder of the site that holds these pages."""

LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
LANGUAGES = {".py": "python", ".sh": "bash", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}
COPIED = {".png"}
"""Kinds of files that are handed over as they are."""


def target_of(link: str, folder: str) -> str | None:
    """The path from the root of the repository that a link of a file in `folder` names; None for an address."""
    if re.match(r"[a-z]+:", link) or link.startswith("/"):
        return None
    return posixpath.normpath(posixpath.join(folder, link))


def page_of(target: str) -> str:
    """Where on the site a path of the repository is: "docs/table.md" -> "table.md", others below `SITE`."""
    if target == "docs" or target.startswith("docs/"):
        return posixpath.relpath(target, "docs")
    if target == "README.md":
        return "index.md"
    path = Path(target)
    keeps = path.suffix == ".md" or path.suffix in COPIED
    return (
        f"{SITE}/{target}"
        if keeps
        else f"{SITE}/{target}/index.md"
        if (ROOT / path).is_dir()
        else f"{SITE}/{target}.md"
    )


def rewrite_links(text: str, folder: str, page: str) -> str:
    """`text` of a file in `folder`, with links as the page at `page` of the site needs them."""

    def link(found: re.Match[str]) -> str:
        target = target_of(found[1], folder)
        if target is None or (target.startswith("docs/") and folder == "docs"):
            return found[0]
        return posixpath.relpath(page_of(target), posixpath.dirname(page)) + (found[2] or "")

    return LINK.sub(link, text)


def links_of(text: str, folder: str) -> set[str]:
    """The paths outside docs/ that a text links to."""
    found = {target_of(match[1], folder) for match in LINK.finditer(text)}
    return {target for target in found if target and page_of(target).startswith(f"{SITE}/")}


def content_of(target: str) -> str:
    """The Markdown of the page about a path outside docs/. Raises PluginError where nothing is there."""
    path = ROOT / target
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.is_file())
        return f"# {target}\n\n" + "".join(f"- [{one.name}]({one.name})\n" for one in files)
    if not path.is_file():
        raise PluginError(f"a page links to {target}, which is not there")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    if path.suffix == ".ipynb":
        return "\n\n".join(cells_of(json.loads(text)))
    return f"# {target}\n\n" + fenced(text, LANGUAGES.get(path.suffix, "text"))


def fenced(text: str, language: str) -> str:
    """A block of code that no text in it ends."""
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 3)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def cells_of(notebook: dict[str, Any]) -> Iterator[str]:
    """A notebook as Markdown: its texts, its code, and what is recorded of what that printed and drew."""
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        yield source if cell["cell_type"] == "markdown" else fenced(source, "python")
        for output in cell.get("outputs", []):
            shown = output.get("data", {"text/plain": output.get("text", [])})
            if picture := shown.get("image/png"):
                yield f"![what the cell above draws](data:image/png;base64,{''.join(picture).strip()})"
            elif words := "".join(shown.get("text/plain", [])):
                yield fenced(words, "text")


def on_files(files: Files, config: Any) -> Files:
    """mkdocs: add a page for every path outside docs/ that is linked to, directly or through others."""
    waiting: set[str] = set()
    for file in files.documentation_pages():
        waiting |= links_of(file.content_string, posixpath.join("docs", posixpath.dirname(file.src_uri)).rstrip("/"))
    done: set[str] = set()
    while waiting:
        target = waiting.pop()
        done.add(target)
        page = page_of(target)
        if (ROOT / target).suffix in COPIED:
            files.append(File.generated(config, page, abs_src_path=os.fspath(ROOT / target)))
            continue
        folder = target if (ROOT / target).is_dir() else posixpath.dirname(target)
        text = content_of(target)
        waiting |= links_of(text, folder) - done
        files.append(File.generated(config, page, content=rewrite_links(text, folder, page)))
    return files


def unescape_pipes(markdown: str) -> str:
    """In code in a table GitHub wants `\\|` for a pipe, which Python's Markdown would show with its backslash."""
    rows = [
        re.sub("`[^`]+`", lambda code: code[0].replace("\\|", "|"), row) if row.startswith("|") else row
        for row in markdown.split("\n")
    ]
    return "\n".join(rows)


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """mkdocs: links of docs/ to files outside it lead to the pages about them."""
    uri = page.file.src_uri
    if uri.startswith(f"{SITE}/"):
        return markdown
    return unescape_pipes(rewrite_links(markdown, posixpath.join("docs", posixpath.dirname(uri)).rstrip("/"), uri))
