from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCountsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Counts(_message.Message):
    __slots__ = ("counts",)
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    counts: _containers.RepeatedCompositeFieldContainer[Count]
    def __init__(self, counts: _Optional[_Iterable[_Union[Count, _Mapping]]] = ...) -> None: ...

class Count(_message.Message):
    __slots__ = ("profile", "member_id", "connections")
    PROFILE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_ID_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    profile: str
    member_id: int
    connections: int
    def __init__(self, profile: _Optional[str] = ..., member_id: _Optional[int] = ..., connections: _Optional[int] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("name", "device_id", "target", "version", "process", "running_s", "pipelines", "ports", "clients", "roles", "usage", "refusals", "complaints", "start", "activities", "starting")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_S_FIELD_NUMBER: _ClassVar[int]
    PIPELINES_FIELD_NUMBER: _ClassVar[int]
    PORTS_FIELD_NUMBER: _ClassVar[int]
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    ROLES_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    COMPLAINTS_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    ACTIVITIES_FIELD_NUMBER: _ClassVar[int]
    STARTING_FIELD_NUMBER: _ClassVar[int]
    name: str
    device_id: int
    target: str
    version: str
    process: int
    running_s: float
    pipelines: _containers.RepeatedCompositeFieldContainer[Pipeline]
    ports: _containers.RepeatedCompositeFieldContainer[Port]
    clients: _containers.RepeatedCompositeFieldContainer[Client]
    roles: _containers.RepeatedCompositeFieldContainer[Role]
    usage: _containers.RepeatedCompositeFieldContainer[Usage]
    refusals: _containers.RepeatedCompositeFieldContainer[Refusal]
    complaints: _containers.RepeatedCompositeFieldContainer[Complaint]
    start: Start
    activities: _containers.RepeatedCompositeFieldContainer[Activity]
    starting: Starting
    def __init__(self, name: _Optional[str] = ..., device_id: _Optional[int] = ..., target: _Optional[str] = ..., version: _Optional[str] = ..., process: _Optional[int] = ..., running_s: _Optional[float] = ..., pipelines: _Optional[_Iterable[_Union[Pipeline, _Mapping]]] = ..., ports: _Optional[_Iterable[_Union[Port, _Mapping]]] = ..., clients: _Optional[_Iterable[_Union[Client, _Mapping]]] = ..., roles: _Optional[_Iterable[_Union[Role, _Mapping]]] = ..., usage: _Optional[_Iterable[_Union[Usage, _Mapping]]] = ..., refusals: _Optional[_Iterable[_Union[Refusal, _Mapping]]] = ..., complaints: _Optional[_Iterable[_Union[Complaint, _Mapping]]] = ..., start: _Optional[_Union[Start, _Mapping]] = ..., activities: _Optional[_Iterable[_Union[Activity, _Mapping]]] = ..., starting: _Optional[_Union[Starting, _Mapping]] = ...) -> None: ...

class Starting(_message.Message):
    __slots__ = ("what", "done", "of_all", "unit", "since_s")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    OF_ALL_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    what: str
    done: int
    of_all: int
    unit: str
    since_s: float
    def __init__(self, what: _Optional[str] = ..., done: _Optional[int] = ..., of_all: _Optional[int] = ..., unit: _Optional[str] = ..., since_s: _Optional[float] = ...) -> None: ...

class Pipeline(_message.Message):
    __slots__ = ("name", "version", "is_saved", "cookie", "layout")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    IS_SAVED_FIELD_NUMBER: _ClassVar[int]
    COOKIE_FIELD_NUMBER: _ClassVar[int]
    LAYOUT_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    is_saved: bool
    cookie: int
    layout: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., is_saved: bool = ..., cookie: _Optional[int] = ..., layout: _Optional[str] = ...) -> None: ...

class Port(_message.Message):
    __slots__ = ("number", "name", "interface", "is_up", "watchers", "out")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    IS_UP_FIELD_NUMBER: _ClassVar[int]
    WATCHERS_FIELD_NUMBER: _ClassVar[int]
    OUT_FIELD_NUMBER: _ClassVar[int]
    number: int
    name: str
    interface: str
    is_up: bool
    watchers: int
    out: _containers.RepeatedCompositeFieldContainer[Out]
    def __init__(self, number: _Optional[int] = ..., name: _Optional[str] = ..., interface: _Optional[str] = ..., is_up: bool = ..., watchers: _Optional[int] = ..., out: _Optional[_Iterable[_Union[Out, _Mapping]]] = ...) -> None: ...

class Out(_message.Message):
    __slots__ = ("kind", "of", "count", "of_all")
    KIND_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    OF_ALL_FIELD_NUMBER: _ClassVar[int]
    kind: str
    of: str
    count: int
    of_all: int
    def __init__(self, kind: _Optional[str] = ..., of: _Optional[str] = ..., count: _Optional[int] = ..., of_all: _Optional[int] = ...) -> None: ...

class Client(_message.Message):
    __slots__ = ("name", "role", "has_arbitrated", "election_id", "is_primary", "waiting")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    HAS_ARBITRATED_FIELD_NUMBER: _ClassVar[int]
    ELECTION_ID_FIELD_NUMBER: _ClassVar[int]
    IS_PRIMARY_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    name: str
    role: str
    has_arbitrated: bool
    election_id: str
    is_primary: bool
    waiting: int
    def __init__(self, name: _Optional[str] = ..., role: _Optional[str] = ..., has_arbitrated: bool = ..., election_id: _Optional[str] = ..., is_primary: bool = ..., waiting: _Optional[int] = ...) -> None: ...

class Role(_message.Message):
    __slots__ = ("name", "highest", "has_primary", "is_limited")
    NAME_FIELD_NUMBER: _ClassVar[int]
    HIGHEST_FIELD_NUMBER: _ClassVar[int]
    HAS_PRIMARY_FIELD_NUMBER: _ClassVar[int]
    IS_LIMITED_FIELD_NUMBER: _ClassVar[int]
    name: str
    highest: str
    has_primary: bool
    is_limited: bool
    def __init__(self, name: _Optional[str] = ..., highest: _Optional[str] = ..., has_primary: bool = ..., is_limited: bool = ...) -> None: ...

class Usage(_message.Message):
    __slots__ = ("what", "of", "used", "limit")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    what: str
    of: str
    used: int
    limit: int
    def __init__(self, what: _Optional[str] = ..., of: _Optional[str] = ..., used: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("what", "code", "count")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    what: str
    code: str
    count: int
    def __init__(self, what: _Optional[str] = ..., code: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Complaint(_message.Message):
    __slots__ = ("client", "what", "count")
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    client: str
    what: str
    count: int
    def __init__(self, client: _Optional[str] = ..., what: _Optional[str] = ..., count: _Optional[int] = ...) -> None: ...

class Start(_message.Message):
    __slots__ = ("found", "placed", "remarks")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    PLACED_FIELD_NUMBER: _ClassVar[int]
    REMARKS_FIELD_NUMBER: _ClassVar[int]
    found: str
    placed: _containers.RepeatedCompositeFieldContainer[Placed]
    remarks: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, found: _Optional[str] = ..., placed: _Optional[_Iterable[_Union[Placed, _Mapping]]] = ..., remarks: _Optional[_Iterable[str]] = ...) -> None: ...

class Placed(_message.Message):
    __slots__ = ("pipeline", "goes_on", "entries", "members", "groups", "findings")
    PIPELINE_FIELD_NUMBER: _ClassVar[int]
    GOES_ON_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    pipeline: str
    goes_on: bool
    entries: int
    members: int
    groups: int
    findings: _containers.RepeatedCompositeFieldContainer[Finding]
    def __init__(self, pipeline: _Optional[str] = ..., goes_on: bool = ..., entries: _Optional[int] = ..., members: _Optional[int] = ..., groups: _Optional[int] = ..., findings: _Optional[_Iterable[_Union[Finding, _Mapping]]] = ...) -> None: ...

class Finding(_message.Message):
    __slots__ = ("part", "kind", "count", "entries", "text")
    PART_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    part: str
    kind: str
    count: int
    entries: _containers.RepeatedScalarFieldContainer[str]
    text: str
    def __init__(self, part: _Optional[str] = ..., kind: _Optional[str] = ..., count: _Optional[int] = ..., entries: _Optional[_Iterable[str]] = ..., text: _Optional[str] = ...) -> None: ...

class Activity(_message.Message):
    __slots__ = ("what", "since_s", "waiting")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    SINCE_S_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    what: str
    since_s: float
    waiting: int
    def __init__(self, what: _Optional[str] = ..., since_s: _Optional[float] = ..., waiting: _Optional[int] = ...) -> None: ...
