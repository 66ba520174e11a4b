"""Joins the JavaScript modules of the dashboard into one script, without a build step.

A request for each of two dozen modules would start as many functions when the page is opened. Each
module becomes a function of its own scope, in the order of the imports. The modules may use imports
and exports of these forms only:

    import { a, b as c } from "./module.js";
    export const a = …    export function a …    export async function a …    export class a …

This module must not know what the modules contain.
"""

import re
from collections.abc import Mapping
from graphlib import TopologicalSorter

_IMPORT = re.compile(r'^import \{ ([^}]+) \} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export ((?:const|class|(?:async )?function) (\w+))", re.MULTILINE)
_UNKNOWN = re.compile(r"^(?:import|export)\b.*$", re.MULTILINE)


def joined(modules: Mapping[str, str]) -> str:
    """Return one script that does what the modules do, by name without `.js`.

    Raises ValueError if a module contains an import or export of another form, and CycleError if
    modules import each other.
    """
    imports = {name: {each[1] for each in _IMPORT.findall(text)} for name, text in modules.items()}
    order = TopologicalSorter(imports).static_order()
    return "".join(_scope(name, modules[name]) for name in order)


def _scope(name: str, text: str) -> str:
    exported = ", ".join(export for _, export in _EXPORT.findall(text))
    body = _IMPORT.sub(lambda found: _constants(*found.groups()), _EXPORT.sub(r"\1", text))
    if unknown := _UNKNOWN.search(body):
        raise ValueError(f"{name}.js contains an unknown form of import or export: {unknown[0]}")
    return f"const ${name} = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n"


def _constants(names: str, module: str) -> str:
    return f"const {{ {names.replace(' as ', ': ')} }} = ${module};"
