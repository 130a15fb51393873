"""Arrays that travel together, passed to kernels as one pointer."""

# What numba exports for extensions has hardly any types.
# mypy: disable-error-code="attr-defined, call-arg, no-untyped-call, override, untyped-decorator"

import struct
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import typeof
from numba.core import config, types
from numba.core.imputils import impl_ret_untracked
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)

Fields = TypeVar("Fields", bound=type[Any])


def bundle(fields: Fields) -> Fields:
    """Turn a `NamedTuple` of arrays into a structure that kernels receive by reference.

    Numba passes a tuple of arrays by value, seven words an array, through every call; a state of a
    dozen arrays then takes kernels twice as long to compile. The result is used as the tuple would
    be: constructed by position or name, read by attribute, copied with `_replace`. Kernels only
    read it, and count no references to its arrays: it keeps them itself. Interpreted, it is the
    tuple.
    """
    if getattr(config, "DISABLE_JIT", False):
        return fields
    members = {
        "__slots__": (),
        "__doc__": fields.__doc__,
        "__module__": fields.__module__,
        "_made_of": fields,
        "_fields": fields._fields,
    }
    made: Any = type(fields.__name__, (_Bundle,), members)
    return made


class _Bundle:
    """What Python sees: the fields as attributes, and where kernels find them."""

    _made_of: Any
    _fields: tuple[str, ...]
    address: int
    bundle_type: "BundleType"

    def __init__(self, *values: Any, **named: Any) -> None:
        whole = self._made_of(*values, **named)
        layout = np.array(list(_words(tuple(whole))), dtype=np.int64)
        self.__dict__.update(
            whole._asdict(),
            _layout=layout,
            address=layout.ctypes.data,
            bundle_type=_type_of(type(self).__name__, whole),
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"{name}: kernels would not see another array; `_replace` makes a copy"
        )

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return type(self), tuple(getattr(self, name) for name in self._fields)

    def _replace(self, **named: Any) -> Any:
        return type(self)(**{name: getattr(self, name) for name in self._fields} | named)


def _words(value: Any) -> Iterator[int]:
    """Return a field as it lies in memory: whole words, those of an array as numba has them.

    Raises:
        TypeError: For what may not be in a bundle.
    """
    if isinstance(value, np.ndarray):
        yield from (_UNCOUNTED, id(value), value.size, value.itemsize)
        yield value.__array_interface__["data"][0]
        yield from (*value.shape, *value.strides)
    elif isinstance(value, tuple):
        for each in value:
            yield from _words(each)
    elif isinstance(value, _Bundle):
        yield value.address
    elif isinstance(value, float):
        yield from struct.unpack("q", struct.pack("d", value))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield value
    else:
        raise TypeError(f"a bundle has no {type(value).__name__}")


_UNCOUNTED = 0
"""Where numba counts references: nowhere."""
_types: dict[Any, "BundleType"] = {}


def _type_of(name: str, whole: Any) -> "BundleType":
    """Return the type of a bundle: that of another one of the same kind, if there was any."""
    key = name, whole._fields, _key_of(tuple(whole))
    if key not in _types:
        kinds = tuple((field, typeof(each)) for field, each in whole._asdict().items())
        _types[key] = BundleType(name, kinds)
    return _types[key]


def _key_of(value: Any) -> Any:
    """Return what tells the types of two values apart; numba's `typeof` takes ten times as long."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.ndim, value.flags.num
    if isinstance(value, tuple):
        return type(value), *map(_key_of, value)
    return value.bundle_type if isinstance(value, _Bundle) else type(value)


class BundleType(types.Type):
    """The type of a bundle: a pointer to its fields, one after the other.

    Its name tells fields apart by a digest: it is part of the name of every kernel that receives
    one, and told in full, fields of fields included, these would be most of the machine code.
    """

    def __init__(self, name: str, fields: tuple[tuple[str, Any], ...]) -> None:
        self.fields = fields
        super().__init__(name=f"{name}-{sha256(repr(fields).encode()).hexdigest()[:16]}")


@register_model(BundleType)
class _Model(models.OpaqueModel):
    pass


@typeof_impl.register(_Bundle)
def _typeof(value: Any, _context: Any) -> BundleType:
    found: BundleType = value.bundle_type
    return found


@unbox(BundleType)
def _unbox(_kind: BundleType, value: Any, c: Any) -> Any:
    number = c.pyapi.object_getattr_string(value, "address")
    address = c.pyapi.long_as_voidptr(number)
    c.pyapi.decref(number)
    return NativeValue(address, is_error=c.pyapi.c_api_error())


@infer_getattr
class _Attribute(AttributeTemplate):
    key = BundleType

    def generic_resolve(self, kind: BundleType, name: str) -> Any:
        return dict(kind.fields).get(name)


@lower_getattr_generic(BundleType)
def _read(context: Any, builder: Any, kind: BundleType, pointer: Any, name: str) -> Any:
    place = [each for each, _ in kind.fields].index(name)
    wanted = kind.fields[place][1]
    stored = _stored_at(context, builder, tuple(each for _, each in kind.fields), pointer)
    data = _load(builder, builder.gep(stored, [_WORD(0), _WORD(place)], inbounds=True))
    value = context.data_model_manager[wanted].from_data(builder, data)
    return impl_ret_untracked(context, builder, wanted, value)


_WORD = ir.IntType(32)


def _stored_at(context: Any, builder: Any, kinds: tuple[Any, ...], pointer: Any) -> Any:
    """Return a pointer as one to a structure of fields."""
    stored = ir.LiteralStructType([context.get_data_type(each) for each in kinds])
    return builder.bitcast(pointer, stored.as_pointer())


def _load(builder: Any, pointer: Any) -> Any:
    """Load what never changes word by word, saying so: the optimizer may load it once."""
    kind = pointer.type.pointee
    if isinstance(kind, ir.LiteralStructType | ir.ArrayType):
        whole = ir.Constant(kind, ir.Undefined)
        for place in range(len(kind)):
            part = builder.gep(pointer, [_WORD(0), _WORD(place)], inbounds=True)
            whole = builder.insert_value(whole, _load(builder, part), place)
        return whole
    loaded = builder.load(pointer)
    loaded.set_metadata("invariant.load", builder.module.add_metadata([]))
    return loaded
