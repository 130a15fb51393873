"""Arrays that travel together, passed to kernels as one pointer."""

import sys
from typing import Any, TypeVar

from numba.core import config, types
from numba.experimental import structref as untyped

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

    def new(cls: Any, *values: Any, **named: Any) -> Any:
        whole = fields(*values, **named)
        made = structref.StructRefProxy.__new__(cls, *whole)
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
    return type(fields.__name__, (structref.StructRefProxy,), members)
