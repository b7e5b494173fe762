"""IPv4 options (RFC 791, section 3.1): up to 40 bytes between the IP header and the ports, which are left as they are.

Four headers of 4, 8, 16 and 32 bytes make every length that options can have. Nothing in them is looked at: what
routers do with them, they do. Packets with options are rare, so their ports are read by a control that is not hot, and
the fast path for known connections has none of this. Nor are they answered: a reset or an ICMP error would have to
leave them out or quote them.

TCP and UDP alone, as with fragments: the CRC32c of SCTP is brought up to date by a length that counts them, and what an
ICMP error quotes is looked for where it mostly is.
"""

from __future__ import annotations

from typing import Final

from compiler.ir.expressions import Expr
from compiler.ir.nodes import Control
from compiler.ir.statements import Statement
from compiler.pipeline.headers import OPTIONS_BYTES, options_header
from compiler.pipeline.notation import any_of, here, run, valid, when
from compiler.pipeline.transport import read_ports

HEADERS: Final = tuple(options_header(size) for size in OPTIONS_BYTES)
"""Of IPv4 packets, and their types."""
STATE: Final = "behind_options"
_READ = "read_behind_options"


def there() -> Expr:
    """Whether an IPv4 packet has any."""
    return any_of(*map(valid, HEADERS))


def reading(*otherwise: Statement) -> Statement:
    """Ports and protocol of an IPv4 packet that has options; `otherwise` for all others."""
    return when(there(), run(_READ), otherwise=otherwise)


CONTROL: Final = Control(
    name=_READ,
    body=(read_ports(),),
    doc="What a packet with IPv4 options says of its connection.",
    span=here(),
)
