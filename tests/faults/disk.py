"""What SQLite does to the disk, recorded: every write, truncation, sync, creation and deletion.

The recorder stands before the file system layer of the very library that Python's `sqlite3` uses,
registered as its default; the real layer does the work. What SQLite maps into memory (the index of
the write-ahead log) it never syncs, and rebuilds; that is not recorded.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, NamedTuple


class Created(NamedTuple):
    """A file that was not there; `number` tells it from others of the same name."""

    name: str
    number: int


class Written(NamedTuple):
    """Bytes written to a file."""

    number: int
    offset: int
    content: bytes


class Truncated(NamedTuple):
    """A file cut to a size."""

    number: int
    size: int


class Synced(NamedTuple):
    """A file of which all that was written is on the disk."""

    number: int


class Deleted(NamedTuple):
    """A name taken out of the folder."""

    name: str


class FolderSynced(NamedTuple):
    """A folder of which all names are on the disk."""


class Acknowledged(NamedTuple):
    """A commit has returned: records up to this one were promised."""

    sequence: int


Event = Created | Written | Truncated | Synced | Deleted | FolderSynced | Acknowledged

_OK = 0
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, POINTER(c_int))
_DELETE = CFUNCTYPE(c_int, c_void_p, c_char_p, c_int)
_SET_CALL = CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p)
_GET_CALL = CFUNCTYPE(c_void_p, c_void_p, c_char_p)
_OPEN_FOLDER = CFUNCTYPE(c_int, c_char_p, POINTER(c_int))
_CLOSE = CFUNCTYPE(c_int, c_void_p)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class _FileSystem(ctypes.Structure):
    """`sqlite3_vfs`, version 3; what is not replaced is a pointer like any other."""

    _fields_ = (
        ("version", c_int),
        ("file_size", c_int),
        ("longest_path", c_int),
        ("next", c_void_p),
        ("name", c_char_p),
        ("data", c_void_p),
        ("open", _OPEN),
        ("delete", _DELETE),
        ("others", c_void_p * 11),
        ("set_call", _SET_CALL),
        ("get_call", _GET_CALL),
        ("next_call", c_void_p),
    )


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`, version 3."""

    _fields_ = (
        ("version", c_int),
        ("close", _CLOSE),
        ("read", c_void_p),
        ("write", _WRITE),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        ("others", c_void_p * 13),
    )


class _File(ctypes.Structure):
    """`sqlite3_file`, as far as everybody knows it."""

    _fields_ = (("methods", POINTER(_Methods)),)


def _library() -> Any:
    library = ctypes.CDLL("libsqlite3.so.0")
    library.sqlite3_vfs_find.restype = POINTER(_FileSystem)
    library.sqlite3_vfs_find.argtypes = [c_char_p]
    library.sqlite3_vfs_register.argtypes = [c_void_p, c_int]
    library.sqlite3_vfs_unregister.argtypes = [c_void_p]
    return library


class Disk:
    """The recorder; one at a time, used by `recorded`.

    Attributes:
        events: What happened, in order.
    """

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        self._folder = folder.resolve()
        self._library = _library()
        self._real = self._library.sqlite3_vfs_find(None)
        self._numbers: dict[str, int] = {}
        self._open_files: dict[int, int] = {}
        self._methods: dict[int, tuple[Any, _Methods]] = {}
        self._made = 0
        self._shim = _FileSystem.from_buffer_copy(self._real.contents)
        self._shim.name = b"recorded"
        self._shim.next = None
        self._shim.open = _OPEN(self._open)
        self._shim.delete = _DELETE(self._delete)
        self._folder_call = self._real.contents.get_call(self._real, b"openDirectory")
        self._real_open_folder = _OPEN_FOLDER(self._folder_call)
        self._shim_open_folder = _OPEN_FOLDER(self._open_folder)

    def begin(self) -> None:
        """Have every connection opened from now on recorded."""
        call = ctypes.cast(self._shim_open_folder, c_void_p)
        self._real.contents.set_call(self._real, b"openDirectory", call)
        self._library.sqlite3_vfs_register(ctypes.byref(self._shim), 1)

    def end(self) -> None:
        """Let things be as they were; all recorded connections are closed."""
        self._library.sqlite3_vfs_register(self._real, 1)
        self._library.sqlite3_vfs_unregister(ctypes.byref(self._shim))
        self._real.contents.set_call(self._real, b"openDirectory", self._folder_call)
        assert not self._open_files, "a recorded connection is still open"

    # -- the file system, as SQLite calls it

    def _open(self, _system: Any, path: Any, file: Any, flags: int, out: Any) -> int:
        name = Path(ctypes.string_at(path).decode()) if path else None
        is_ours = name is not None and name.parent == self._folder
        is_new = name is not None and not name.exists()
        # The path is handed on as it came: more follows behind its end.
        status: int = self._real.contents.open(self._real, path, file, flags, out)
        if status == _OK and name is not None and is_ours:
            if is_new or name.name not in self._numbers:
                self._made += 1
                self._numbers[name.name] = self._made
                self.events.append(Created(name.name, self._made))
            self._open_files[file] = self._numbers[name.name]
            opened = ctypes.cast(file, POINTER(_File)).contents
            opened.methods = ctypes.pointer(self._recording(opened.methods))
        return status

    def _recording(self, real: Any) -> _Methods:
        """Return the methods of a file with those that change it recorded."""
        address = ctypes.addressof(real.contents)
        if address not in self._methods:
            methods = real.contents

            def close(file: Any) -> int:
                del self._open_files[file]
                return int(methods.close(file))

            def write(file: Any, content: Any, count: int, offset: int) -> int:
                status = int(methods.write(file, content, count, offset))
                written = ctypes.string_at(content, count)
                self._record(status, Written(self._open_files[file], offset, written))
                return status

            def truncate(file: Any, size: int) -> int:
                status = int(methods.truncate(file, size))
                self._record(status, Truncated(self._open_files[file], size))
                return status

            def sync(file: Any, flags: int) -> int:
                status = int(methods.sync(file, flags))
                self._record(status, Synced(self._open_files[file]))
                return status

            shim = _Methods.from_buffer_copy(methods)
            shim.close, shim.write = _CLOSE(close), _WRITE(write)
            shim.truncate, shim.sync = _TRUNCATE(truncate), _SYNC(sync)
            self._methods[address] = (methods, shim)
        return self._methods[address][1]

    def _record(self, status: int, event: Event) -> None:
        if status == _OK:
            self.events.append(event)

    def _delete(self, _system: Any, path: bytes, sync_folder: int) -> int:
        name = Path(path.decode())
        existed = name.exists()
        # The folder is synced within, after the deletion: that comes second here too.
        before = len(self.events)
        status = int(self._real.contents.delete(self._real, path, sync_folder))
        if existed and not name.exists() and name.parent == self._folder:
            self._numbers.pop(name.name, None)
            self.events.insert(before, Deleted(name.name))
        return status

    def _open_folder(self, path: bytes, out: Any) -> int:
        """Open the folder of a file, which SQLite does for nothing but to sync it."""
        status = int(self._real_open_folder(path, out))
        if Path(path.decode()).parent == self._folder:
            self._record(status, FolderSynced())
        return status


@contextmanager
def recorded(folder: Path) -> Iterator[list[Event]]:
    """Record what SQLite does in a folder, to connections opened and closed inside."""
    disk = Disk(folder)
    disk.begin()
    try:
        yield disk.events
    finally:
        disk.end()
