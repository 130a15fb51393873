"""Arrays that travel together, passed to kernels as one pointer."""

import sys
from typing import Any, TypeVar

from numba.core import config, types
from numba.experimental import structref as untyped

from amm.kernel import kernel

structref: Any = untyped

Fields = TypeVar("Fields", bound=type[Any])


def bundle(fields: Fields) -> Fields:
    """Turn a `NamedTuple` of arrays into a structure that kernels receive by reference.

    Numba passes a tuple of arrays by value, seven words an array, through every call; a state of a
    dozen arrays then takes kernels twice as long to compile. The result is used as the tuple would
    be: constructed by position or name, read by attribute, copied with `_replace`. Interpreted,
    it is the tuple.
    """
    if getattr(config, "DISABLE_JIT", False):
        return fields
    module = sys.modules[fields.__module__]
    kind = type(f"{fields.__name__}Type", (types.StructRef,), {"__module__": fields.__module__})
    structref.register(kind)
    setattr(module, kind.__name__, kind)
    proxy = _proxy_of(fields)
    structref.define_proxy(proxy, kind, list(fields._fields))
    return proxy


def _proxy_of(fields: Any) -> Any:
    """Return the class Python sees: it keeps its own references to what kernels were given."""

    def construct(*whole: Any) -> Any:
        return proxy(*whole)

    # Numba's own constructor is compiled anew in every process; as one of its module's kernels it
    # is kept with them.
    construct.__module__ = fields.__module__
    construct.__qualname__ = f"{fields.__name__}.construct"
    made_by = kernel(construct)

    def new(_cls: Any, *values: Any, **named: Any) -> Any:
        whole = fields(*values, **named)
        made = made_by(*whole)
        made.__dict__.update(whole._asdict())
        return made

    def replace(self: Any, **named: Any) -> Any:
        return type(self)(**{name: getattr(self, name) for name in fields._fields} | named)

    members = {
        "__new__": new,
        "__doc__": fields.__doc__,
        "__module__": fields.__module__,
        "_fields": fields._fields,
        "_replace": replace,
    }
    proxy = type(fields.__name__, (structref.StructRefProxy,), members)
    return proxy
