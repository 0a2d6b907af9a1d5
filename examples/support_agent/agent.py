"""A customer-support agent on the plain openai client. It knows nothing of agentrace.

python agent.py "Where is my order 1042, and can I still return it?"
"""

import asyncio
import json
import sys

import openai
from tools import SCHEMAS, TOOLS, search_handbook

QUESTION = "Where is my order 1042, and can I still return the kettle?"


async def main(question: str) -> None:
    client = openai.AsyncOpenAI()
    handbook = await search_handbook(question)
    messages = [
        {"role": "system", "content": f"You are the support desk of a kettle shop. The handbook says: {handbook}"},
        {"role": "user", "content": question},
    ]

    try:
        plan = await ask(client, "gpt-5-preview", messages)
    except openai.NotFoundError:
        plan = await ask(client, "gpt-5-mini", messages)

    calls = plan.choices[0].message.tool_calls or []
    results = await asyncio.gather(*(answer(call.function) for call in calls))
    messages.append(plan.choices[0].message)
    for call, result in zip(calls, results):
        messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})

    stream = await client.chat.completions.create(
        model="gpt-5-mini", messages=messages, stream=True, stream_options={"include_usage": True}
    )
    async for chunk in stream:
        if chunk.choices:
            print(chunk.choices[0].delta.content or "", end="", flush=True)
    print()


async def answer(function):
    return await TOOLS[function.name](**json.loads(function.arguments))


async def ask(client, model, messages):
    return await client.chat.completions.create(model=model, messages=messages, tools=SCHEMAS)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else QUESTION))
