"""What the support agent can do: look things up, and search its handbook by meaning."""

import asyncio
import random

import openai

HANDBOOK = [
    "Kettles can be returned within 30 days of delivery, in their box.",
    "Orders are shipped on the next working day.",
    "Refunds are paid within five working days after a return has arrived.",
]


async def search_handbook(question):
    """The paragraph of the handbook that is nearest to the question."""
    answer = await openai.AsyncOpenAI().embeddings.create(model="text-embedding-3-small", input=[question, *HANDBOOK])
    asked, *paragraphs = [item.embedding for item in answer.data]
    nearness = [sum(a * b for a, b in zip(asked, paragraph)) for paragraph in paragraphs]
    return HANDBOOK[nearness.index(max(nearness))]


async def order_status(order_id):
    """Where an order is."""
    await asyncio.sleep(random.uniform(0.02, 0.06))
    return {"order_id": order_id, "status": "delivered", "delivered_on": "2026-11-09"}


async def return_window(order_id):
    """Until when an order can be returned."""
    await asyncio.sleep(random.uniform(0.02, 0.06))
    return {"order_id": order_id, "returnable_until": "2026-12-09"}


TOOLS = {"order_status": order_status, "return_window": return_window}

SCHEMAS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": function.__doc__,
            "parameters": {
                "type": "object",
                "properties": {"order_id": {"type": "string"}},
                "required": ["order_id"],
            },
        },
    }
    for name, function in TOOLS.items()
]
