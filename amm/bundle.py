"""Arrays that travel together, passed to kernels as one pointer."""

# What numba exports for extensions has hardly any types.
# mypy: disable-error-code="attr-defined, call-arg, no-untyped-call, override, untyped-decorator"

from hashlib import sha256
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import typeof
from numba.core import config, types
from numba.core.imputils import impl_ret_untracked
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    models,
    register_model,
    typeof_impl,
    unbox,
)

from amm.kernel import allocating_kernel

Fields = TypeVar("Fields", bound=type[Any])
Bytes = npt.NDArray[np.uint8]


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
    _kind: "BundleType"

    def __init__(self, *values: Any, **named: Any) -> None:
        whole = self._made_of(*values, **named)
        layout = _lay_out(tuple(whole))
        self.__dict__.update(
            whole._asdict(),
            _layout=layout,
            _address=layout.ctypes.data,
            _kind=_kind_of(type(self).__name__, whole),
        )

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(
            f"{name}: kernels would not see another array; `_replace` makes a copy"
        )

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return type(self), tuple(getattr(self, name) for name in self._fields)

    def _replace(self, **named: Any) -> Any:
        return type(self)(**{name: getattr(self, name) for name in self._fields} | named)


_kinds: dict[Any, "BundleType"] = {}


def _kind_of(name: str, whole: Any) -> "BundleType":
    """Return the type of a bundle: that of another one of the same kind, if there was any."""
    key = name, whole._fields, _key_of(tuple(whole))
    if key not in _kinds:
        kinds = tuple((field, typeof(each)) for field, each in whole._asdict().items())
        _kinds[key] = BundleType(name, kinds)
    return _kinds[key]


def _key_of(value: Any) -> Any:
    """Return what tells the types of two values apart; numba's `typeof` takes ten times as long."""
    if isinstance(value, np.ndarray):
        return value.dtype, value.ndim, value.flags.num
    if isinstance(value, tuple):
        return type(value), *map(_key_of, value)
    return value._kind if isinstance(value, _Bundle) else type(value)  # noqa: SLF001 - here


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
    kind: BundleType = value._kind  # noqa: SLF001 - of this module
    return kind


@unbox(BundleType)
def _unbox(_kind: BundleType, value: Any, c: Any) -> Any:
    number = c.pyapi.object_getattr_string(value, "_address")
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


def _unowned(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return a value without the references it holds: there is nothing to be counted."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value=value)
        array.meminfo = ir.Constant(array.meminfo.type, None)
        return array._getvalue()  # noqa: SLF001 - as everywhere in numba
    if isinstance(kind, types.BaseTuple):
        for place, each in enumerate(kind.types):
            part = _unowned(context, builder, each, builder.extract_value(value, place))
            value = builder.insert_value(value, part, place)
    return value


@intrinsic
def _size_of(_typing: Any, fields: Any) -> Any:
    def generate(context: Any, _builder: Any, _signature: Any, _args: Any) -> Any:
        stored = ir.LiteralStructType([context.get_data_type(each) for each in fields.types])
        return context.get_constant(types.intp, context.get_abi_sizeof(stored))

    return types.intp(fields), generate


@intrinsic
def _store(_typing: Any, layout: Any, fields: Any) -> Any:
    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        array = context.make_array(layout)(context, builder, value=args[0])
        stored = _stored_at(context, builder, tuple(fields.types), array.data)
        for place, kind in enumerate(fields.types):
            value = _unowned(context, builder, kind, builder.extract_value(args[1], place))
            data = context.data_model_manager[kind].as_data(builder, value)
            builder.store(data, builder.gep(stored, [_WORD(0), _WORD(place)], inbounds=True))
        return context.get_dummy_value()

    return types.void(layout, fields), generate


@allocating_kernel
def _lay_out(fields: Any) -> Bytes:
    """Write fields one after the other, as `_read` finds them."""
    layout = np.empty(_size_of(fields), dtype=np.uint8)
    _store(layout, fields)
    return layout
