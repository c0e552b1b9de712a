"""Whether the code of a test asserts anything of the program: what does not pays every program.

Names are followed, values are not: the outcome of candidate(2) reaches what is assigned from it,
the arguments that it may change, and the parameters of functions that get it. Where a name may
reach, it does, so that no good test is refused.
"""

import ast
from collections.abc import Iterator, Set

_BRANCHES = (ast.If, ast.While, ast.Try, ast.With, ast.Match, ast.IfExp)
_BINDERS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.NamedExpr, ast.For, ast.comprehension)
_CATCH_ASSERTS = {"AssertionError", "Exception", "BaseException"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _mentions(node: ast.AST, names: Set[str]) -> bool:
    return any(isinstance(n, ast.Name) and n.id in names for n in ast.walk(node))


def _as_script(node: ast.AST) -> bool:
    """Whether a statement runs in a script alone: if __name__ == "__main__"."""
    return isinstance(node, ast.If) and _mentions(node.test, {"__name__"})


def _run(node: ast.AST, called: Set[str]) -> Iterator[ast.AST]:
    """Nodes that run: bodies of functions and classes only where their name is among `called`.

    An assert whose failure is caught, and makes nothing fail, is left out.
    """
    caught = set(map(id, _caught(node)))
    for child in ast.iter_child_nodes(node):
        defines = isinstance(child, (*_FUNCTIONS, ast.ClassDef))
        if _as_script(child) or (defines and child.name not in called and not _method(node)):
            continue
        if id(child) in caught and isinstance(child, ast.Assert):
            continue
        yield child
        yield from _run(child, called)


def _caught(node: ast.AST) -> list[ast.stmt]:
    """Statements of a try whose failed asserts a handler catches and lets pass."""
    if not isinstance(node, ast.Try):
        return []
    for handler in node.handlers:
        names = {"Exception"} if handler.type is None else _names(handler.type)
        if names & _CATCH_ASSERTS and not any(_may_fail(n) for n in ast.walk(handler)):
            return node.body
    return []


def _method(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef)


def running(tree: ast.Module) -> list[ast.AST]:
    """Returns the nodes that run, which leaves out functions that nothing names."""
    called: set[str] = set()
    while True:
        nodes = [*_run(tree, called)]
        names = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        if names == called:
            return nodes
        called = names


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _reach(nodes: list[ast.AST], names: Set[str]) -> set[str]:
    """Names that what the program gives may reach."""
    functions = {n.name: n for n in nodes if isinstance(n, _FUNCTIONS)}
    reached = set(names)
    while True:
        before = len(reached)
        for node in nodes:
            if not _mentions(node, reached):
                continue
            if isinstance(node, _BINDERS):
                for field in ("targets", "target"):
                    targets = getattr(node, field, [])
                    for target in targets if isinstance(targets, list) else [targets]:
                        reached |= _names(target)
            elif isinstance(node, ast.Call):
                for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                    reached |= _names(argument)
                function = functions.get(node.func.id) if isinstance(node.func, ast.Name) else None
                if function is not None:
                    reached |= {n.arg for n in ast.walk(function.args) if isinstance(n, ast.arg)}
            elif isinstance(node, _FUNCTIONS):
                reached.add(node.name)
            elif isinstance(node, ast.With):
                reached |= {n for item in node.items for n in _names(item)}
            elif isinstance(node, ast.Try):
                reached |= {handler.name for handler in node.handlers if handler.name}
        if len(reached) == before:
            return reached


def _aliases(nodes: list[ast.AST], names: Set[str]) -> set[str]:
    """The program's names, and parameters that stand for them: check(candidate)."""
    functions = {n.name: n for n in nodes if isinstance(n, _FUNCTIONS)}
    aliases = set(names)
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            function = functions.get(node.func.id)
            parameters = function.args.args if function is not None else []
            for parameter, given in zip(parameters, node.args, strict=False):
                if isinstance(given, ast.Name) and given.id in names:
                    aliases.add(parameter.arg)
    return aliases


def _may_fail(node: ast.AST) -> bool:
    """Whether a statement fails in one branch and not in another."""
    if isinstance(node, ast.Assert):
        return not (isinstance(node.test, ast.Constant) and node.test.value)
    return isinstance(node, ast.Raise) or _asserts_by_call(node)


def _asserts_by_call(node: ast.AST) -> bool:
    """Whether this calls something named as an assertion: self.assertEqual, assert_allclose."""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    return name.lower().startswith("assert") or name in ("raises", "fail")


def _tells(node: ast.AST, reached: Set[str], names: Set[str]) -> bool:
    """Whether a node fails for some program and passes for another."""
    if isinstance(node, ast.Assert):
        test = node.test
        always = isinstance(test, ast.Tuple) and test.elts
        bare = isinstance(test, ast.Name) and test.id in names
        return _mentions(test, reached) and not always and not bare
    if isinstance(node, _BRANCHES):
        caught = set(map(id, _caught(node)))
        return _mentions(node, reached) and any(
            _may_fail(n) for n in ast.walk(node) if id(n) not in caught
        )
    return _asserts_by_call(node) and _mentions(node, reached)


def asserts(tree: ast.Module, names: Set[str]) -> bool:
    """Returns whether code asserts something of what the program's names give.

    Args:
      tree: of the test, all that runs.
      names: the program's.
    """
    nodes = running(tree)
    reached, own = _reach(nodes, names), _aliases(nodes, names)
    return any(_tells(node, reached, own) for node in nodes)
