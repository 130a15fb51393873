"""What a demo says when it is ready: its keys, and a first trade to paste."""

from collections.abc import Sequence

from api.access.records import KeyRecord

_TRADE = """\
from api.client import Client

with Client("{url}", key="{key}", secret="{secret}") as client:
    index = float(client.index("BTC").price)
    call = f"BTC-{token}-{{round(index / 1000) * 1000}}-C"
    quote = client.quote(call, "10")
    print(f"{{call}}: 10 cost {{quote.total}}, then {{quote.premium_per_day}} a day")
    limit = f"{{1.05 * float(quote.total):.8f}}"
    bought = client.open(call, "10", limit_total=limit)
    print(f"bought {{bought.filled}} for {{bought.total}} at an index of {{bought.index}}")
    for held in client.positions():
        print(f"holding {{held.notional}} of {{held.instrument}}, worth {{held.value}}")
    sold = client.close(bought.position_id)
    print(f"sold for {{sold.total}} at an index of {{sold.index}}")
"""
"""The strike is made of the present index, so that it works at any time."""


def first_trade(url: str, key: KeyRecord, token: str) -> str:
    """Return a program that opens a position and closes it again."""
    return _TRADE.format(url=url, key=key.id, secret=key.secret, token=token)


def welcome(url: str, keys: Sequence[KeyRecord], token: str, strike: int) -> str:
    """Return the keys and secrets of a demo and what to try first.

    Args:
        url: Of the server.
        keys: With the right to trade first.
        token: To trade in.
        strike: On the ladder, near the index of BTC.
    """
    shown = "\n".join(
        f"  {key.account:<9} {key.id}  {key.secret}  {', '.join(sorted(key.roles))}" for key in keys
    )
    asked = f'{{"instrument": "BTC-{token}-{strike}-C", "side": "open", "notional": "10"}}'
    return f"""
Keys of this demo: account, key, secret, roles.

{shown}

How it is, and what a trade would cost, for anybody:

curl -s {url}/v1/status
curl -s {url}/v1/quotes -H 'Content-Type: application/json' -d '{asked}'

A first trade of {keys[0].account}'s, from the folder of the repository:

.venv/bin/python - <<'PY'
{first_trade(url, keys[0], token)}PY
"""
