"""Modules of the dashboard become one script in the order of their imports."""

from graphlib import CycleError

import pytest

from chalicelib.api.dashboard.script import joined

MAIN = 'import { size as width } from "./shapes.js";\n\nconsole.log(width(2));'
SHAPES = (
    "const SCALE = 3;\n\nexport const unit = 1;\n"
    "export async function size(n) {\n  return n * SCALE;\n}"
)


def test_each_module_has_its_own_scope_and_follows_what_it_imports() -> None:
    script = joined({"main": MAIN, "shapes": SHAPES})

    assert script == (
        "const $shapes = (() => {\nconst SCALE = 3;\n\nconst unit = 1;\n"
        "async function size(n) {\n  return n * SCALE;\n}\nreturn { unit, size };\n})();\n"
        "const $main = (() => {\nconst { size: width } = $shapes;\n\nconsole.log(width(2));\n"
        "return {  };\n})();\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        'import all from "./shapes.js";',
        'import "./shapes.js";',
        "export default 3;",
        "export { a };",
    ],
)
def test_a_form_that_is_not_supported_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"main\.js contains an unknown form of import or export"):
        joined({"main": line, "shapes": SHAPES})


def test_modules_that_import_each_other_are_refused() -> None:
    with pytest.raises(CycleError):
        joined({"a": 'import { b } from "./b.js";', "b": 'import { a } from "./a.js";'})
