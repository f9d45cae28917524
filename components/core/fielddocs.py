"""The docstrings of a spec's fields, read from its source when somebody asks.

pydantic can attach them when a class is made, but reading the source of every spec costs a fifth of a second at each
start, and only an error message shows one.
"""

import ast
import inspect
import textwrap

from pydantic import BaseModel


def field_docstring(model: type[BaseModel], field: str) -> str:
    """The string literal below a field's definition in `model` or the class it inherits it from; empty if none."""
    owner = next((cls for cls in model.__mro__ if field in inspect.get_annotations(cls)), None)
    if owner is None:
        return ""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
    assert isinstance(definition, ast.ClassDef)
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        defined = isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == field
        if defined and isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            return inspect.cleandoc(str(following.value.value))
    return ""
