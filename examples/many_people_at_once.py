"""One agent, one event loop, a hundred people who ask at the same time; each has a dialogue of their own.

python examples/many_people_at_once.py INDEX
"""

import asyncio
import sys
from collections import Counter
from pathlib import Path

from kbqa_agent import Dialogue, KBQAgent

COUNTRIES = ("法国", "日本", "德国", "意大利", "西班牙")


async def visit(agent: KBQAgent, country: str) -> str | None:
    """Ask for a country's capital, and then for its currency."""
    dialogue = Dialogue()
    await agent.aask(f"{country}的首都是哪里？", dialogue)
    return (await agent.aask("那货币呢？", dialogue)).text


async def main(index: Path, n_people: int = 100) -> Counter[str | None]:
    """Count the currencies that people hear of."""
    async with KBQAgent.open(index, model="none") as agent:
        visits = [visit(agent, COUNTRIES[i % len(COUNTRIES)]) for i in range(n_people)]
        return Counter(await asyncio.gather(*visits))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: python {sys.argv[0]} INDEX")
    print(asyncio.run(main(Path(sys.argv[1]))))
