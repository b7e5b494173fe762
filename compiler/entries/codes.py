"""The code of every diagnostic about entries. Explained one by one in docs/diagnostics.md."""

from __future__ import annotations

from typing import Final

from compiler.diagnostic import Code

TABLE_TOO_SMALL: Final = Code(id="E0301", name="table-too-small")
GROUP_TOO_LARGE: Final = Code(id="E0302", name="group-too-large")
UPLINK_NUMBER: Final = Code(id="E0303", name="uplink-number")
UNREACHABLE: Final = Code(id="W0304", name="unreachable-address")
NO_GATEWAY: Final = Code(id="W0305", name="network-without-gateway")
TOO_MANY_MASKS: Final = Code(id="E0306", name="too-many-masks")
AFFINITY_NOT_OFFERED: Final = Code(id="E0307", name="affinity-not-offered")
POLICY_NOT_OFFERED: Final = Code(id="E0308", name="policy-not-offered")
ALGORITHM_NOT_OFFERED: Final = Code(id="E0309", name="algorithm-not-offered")
GATEWAY_NOT_OFFERED: Final = Code(id="E0310", name="gateway-not-offered")
PROTOCOL_NOT_OFFERED: Final = Code(id="E0311", name="protocol-not-offered")
RETURN_NOT_OFFERED: Final = Code(id="E0312", name="server-return-not-offered")
