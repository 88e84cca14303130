"""Writes data/conversations.jsonl: customers of a made-up outdoor shop talk to its assistant, which uses tools.

Run it as ``python make_data.py``. Nothing here is random. The catalogue and the orders below are the whole world: a tool answers from them,
and what the assistant says afterwards follows from the tool's answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

TARGET = Path(__file__).resolve().parent / "data" / "conversations.jsonl"

SYSTEM = (
    "You are the assistant of Fernweh, a small outdoor shop. Today is 14 March 2025. Look things up with the tools instead of guessing. "
    "Returns are free within 30 days of delivery, refunds reach the bank within five working days, and all goods have a two-year guarantee. "
    "Standard shipping is free from 60 euros."
)

Message = dict[str, Any]


class Product(NamedTuple):
    sku: str
    name: str
    category: str
    cents: int
    stock: int


class Order(NamedTuple):
    number: str
    item: str
    status: str
    date: str
    """The day that belongs to the status: expected, delivered, cancelled or refunded on."""
    days_ago: int


PRODUCTS = (
    Product("TN-201", "Alder 2 tent", "tents", 24900, 6), Product("TN-305", "Ridge 3 tent", "tents", 38900, 0),
    Product("TN-110", "Solo bivy", "tents", 12950, 14), Product("SB-044", "Dune sleeping bag", "sleeping bags", 8900, 21),
    Product("SB-077", "Polar sleeping bag", "sleeping bags", 21900, 3), Product("SB-012", "Silk liner", "sleeping bags", 4490, 0),
    Product("ST-010", "Spark gas stove", "stoves", 5490, 18), Product("ST-022", "Kettle stove set", "stoves", 9950, 9),
    Product("ST-031", "Twig wood stove", "stoves", 3990, 0), Product("BP-035", "Heron 35 backpack", "backpacks", 11900, 11),
    Product("BP-055", "Heron 55 backpack", "backpacks", 16900, 4), Product("BP-018", "Finch 18 daypack", "backpacks", 5990, 30),
    Product("LT-003", "Glow headlamp", "lights", 3490, 42), Product("LT-008", "Beacon lantern", "lights", 4290, 7),
    Product("LT-015", "Firefly string light", "lights", 1990, 0), Product("MT-001", "Foam mat", "mats", 2490, 25),
    Product("MT-009", "Cloud air mat", "mats", 10900, 2), Product("BT-002", "Steel bottle", "bottles", 2290, 60),
    Product("BT-006", "Filter bottle", "bottles", 4990, 13), Product("KN-004", "Pocket knife", "tools", 3890, 16),
)  # fmt: skip

ORDERS = (
    Order("F-10231", "Spark gas stove", "in transit", "17 March", 0), Order("F-10244", "Heron 55 backpack", "in transit", "15 March", 0),
    Order("F-10250", "Filter bottle", "in transit", "18 March", 0), Order("F-10263", "Alder 2 tent", "processing", "19 March", 0),
    Order("F-10268", "Pocket knife", "processing", "18 March", 0), Order("F-10270", "Beacon lantern", "processing", "20 March", 0),
    Order("F-10188", "Dune sleeping bag", "delivered", "10 March", 4), Order("F-10175", "Glow headlamp", "delivered", "6 March", 8),
    Order("F-10160", "Heron 35 backpack", "delivered", "28 February", 14), Order("F-10142", "Cloud air mat", "delivered", "21 February", 21),
    Order("F-10119", "Kettle stove set", "delivered", "14 February", 28), Order("F-10067", "Polar sleeping bag", "delivered", "31 January", 42),
    Order("F-10031", "Finch 18 daypack", "delivered", "10 January", 63), Order("F-10012", "Steel bottle", "delivered", "20 December", 84),
    Order("F-10205", "Foam mat", "cancelled", "9 March", 5), Order("F-10193", "Ridge 3 tent", "cancelled", "4 March", 10),
    Order("F-10101", "Solo bivy", "refunded", "3 March", 11), Order("F-10088", "Filter bottle", "refunded", "24 February", 18),
)  # fmt: skip

SHIPPING = {"Austria": (490, 2), "Germany": (590, 3), "France": (890, 4), "Italy": (890, 4), "Norway": (1490, 6), "Poland": (790, 4)}


def tool(name: str, description: str, **parameters: tuple[str, str]) -> Message:
    """A function tool; each parameter is its JSON type and its description, and all of them are required."""
    properties = {key: {"type": kind, "description": text} for key, (kind, text) in parameters.items()}
    schema = {"type": "object", "properties": properties, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


GET_ORDER = tool("get_order", "The state of an order.", order=("string", "The order number: F- and five digits"))
CHECK_STOCK = tool("check_stock", "Price and stock of a product.", product=("string", "The product's name"))
SEARCH = tool(
    "search_products",
    "Products of a category up to a price, cheapest first.",
    category=("string", "The category"),
    max_price=("number", "The highest price, in euros"),
)
RETURN = tool("start_return", "Opens a return and sends the label.", order=("string", "The order number"), reason=("string", "The reason"))
QUOTE = tool(
    "shipping_quote", "Cost and days of standard shipping.", country=("string", "The country"), total=("number", "The basket, in euros")
)
TOOLS = (GET_ORDER, CHECK_STOCK, SEARCH, RETURN, QUOTE)


def euros(cents: int) -> str:
    return f"{cents // 100} euros" if cents % 100 == 0 else f"{cents // 100}.{cents % 100:02} euros"


def price(cents: int) -> int | float:
    return cents // 100 if cents % 100 == 0 else cents / 100


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def says(text: str) -> Message:
    return {"role": "assistant", "content": text}


def uses(*calls: tuple[str, dict[str, Any], Any]) -> list[Message]:
    """The assistant's message with its calls, and one message for each answer. Ids count from 1 within the message."""
    listed = [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}}
        for number, (name, arguments, _) in enumerate(calls, 1)
    ]
    answers = [
        {"role": "tool", "tool_call_id": f"call_{number}", "name": name, "content": json.dumps(answer, ensure_ascii=False)}
        for number, (name, _, answer) in enumerate(calls, 1)
    ]
    return [{"role": "assistant", "content": "", "tool_calls": listed}, *answers]


def product(name: str) -> Product:
    return next(item for item in PRODUCTS if item.name == name)


def order_call(order: Order) -> tuple[str, dict[str, Any], Any]:
    return "get_order", {"order": order.number}, {"order": order.number, "item": order.item, "status": order.status, "date": order.date}


def stock_call(item: Product) -> tuple[str, dict[str, Any], Any]:
    return "check_stock", {"product": item.name}, {"sku": item.sku, "name": item.name, "price": price(item.cents), "stock": item.stock}


STATUS_SAYS = {
    "in transit": (
        "Order {o} ({i}) is on its way and should reach you on {d}.",
        "Good news: your {i} has left our warehouse. It is due on {d}.",
    ),
    "processing": (
        "We are still packing order {o}. The {i} should arrive on {d}.",
        "Your {i} has not left us yet. The expected delivery is {d}.",
    ),
    "delivered": ("Order {o} ({i}) was delivered on {d}.", "According to the carrier, your {i} was delivered on {d}. Is it not there?"),
    "cancelled": ("Order {o} ({i}) was cancelled on {d}, so nothing will be sent.", "The order for the {i} was cancelled on {d}."),
    "refunded": (
        "Order {o} ({i}) was returned, and we refunded it on {d}.",
        "The refund for your {i} went out on {d}. It reaches the bank within five working days.",
    ),
}

STATUS_ASKS = (
    "Where is my order {o}?",
    "Can you check order {o} for me?",
    "Hi! Any news about {o}? I ordered a {i}.",
    "What is the status of {o}?",
    "{o}: when does it arrive?",
)

Talk = tuple[str, list[Message]]


def order_status() -> Iterator[Talk]:
    for turn, order in enumerate(ORDERS):
        ask = STATUS_ASKS[turn % 4 if order.status not in ("in transit", "processing") else turn % 5]
        answer = STATUS_SAYS[order.status][turn % 2].format(o=order.number, i=order.item, d=order.date)
        yield "order-status", [user(ask.format(o=order.number, i=order.item)), *uses(order_call(order)), says(answer)]


def order_without_number() -> Iterator[Talk]:
    opens = (
        "My parcel has not arrived yet.",
        "Where is my stuff?",
        "I'm waiting for a delivery. Can you look into it?",
        "Did my order ship?",
    )
    asks = ("I can check that. What is your order number? It begins with F-.", "Let me look. Could you tell me the order number?")
    gives = ("It is {o}.", "{o}", "The e-mail says {o}.")
    for turn, order in enumerate(ORDERS[i] for i in (0, 2, 3, 5, 6, 8, 14, 16, 1, 4)):
        answer = STATUS_SAYS[order.status][(turn + 1) % 2].format(o=order.number, i=order.item, d=order.date)
        yield "order-status", [
            user(opens[turn % 4]), says(asks[turn % 2]), user(gives[turn % 3].format(o=order.number)), *uses(order_call(order)), says(answer),
        ]  # fmt: skip


def order_unknown() -> Iterator[Talk]:
    for turn, number in enumerate(("F-99120", "F-1044", "F-20231", "F-10999", "F-00017", "10231-F")):
        answer = ("get_order", {"order": number}, {"error": "no such order"})
        yield (
            "order-unknown",
            [
                user(STATUS_ASKS[(0, 1, 3)[turn % 3]].format(o=number)),
                *uses(answer),
                says(
                    f"I cannot find an order {number}. Could you check the number in your confirmation e-mail? Ours are F- and five digits."
                    if turn % 2 == 0
                    else f"There is no order {number} in our system. Perhaps a digit is missing or swapped: what does your confirmation say?"
                ),
            ],
        )


def stock() -> Iterator[Talk]:
    asks = ("Do you have the {n} in stock?", "Is the {n} available, and what does it cost?", "I'd like to buy a {n}. Can I get one now?")
    for turn, item in enumerate(PRODUCTS):
        if item.stock == 0:
            answer = f"The {item.name} is sold out at the moment. It costs {euros(item.cents)} when we have it."
        elif item.stock < 5:
            answer = f"Yes, but only {item.stock} are left. The {item.name} costs {euros(item.cents)}."
        else:
            answer = f"Yes, the {item.name} is in stock. It costs {euros(item.cents)}."
        yield "stock", [user(asks[turn % 3].format(n=item.name)), *uses(stock_call(item)), says(answer)]


def stock_of_two() -> Iterator[Talk]:
    pairs = (("Heron 35 backpack", "Heron 55 backpack"), ("Spark gas stove", "Kettle stove set"), ("Foam mat", "Cloud air mat"),
             ("Dune sleeping bag", "Polar sleeping bag"), ("Glow headlamp", "Beacon lantern"), ("Steel bottle", "Filter bottle"),
             ("Alder 2 tent", "Solo bivy"), ("Finch 18 daypack", "Heron 35 backpack"))  # fmt: skip
    asks = ("Which is cheaper, the {a} or the {b}?", "Compare the prices of the {a} and the {b} for me, please.")
    for turn, (first, second) in enumerate(pairs):
        a, b = product(first), product(second)
        low, high = sorted((a, b), key=lambda item: item.cents)
        answer = f"The {low.name} is cheaper: {euros(low.cents)} against {euros(high.cents)}. Both are in stock."
        yield "compare", [user(asks[turn % 2].format(a=first, b=second)), *uses(stock_call(a), stock_call(b)), says(answer)]


def search() -> Iterator[Talk]:
    asks = ("Show me {c} for up to {p}.", "I'm looking for {c}, but I don't want to pay more than {p}.", "What {c} do you have under {p}?")
    wishes = (("tents", 260), ("tents", 400), ("sleeping bags", 100), ("sleeping bags", 250), ("stoves", 60), ("stoves", 120), ("backpacks", 80),
              ("backpacks", 130), ("backpacks", 200), ("lights", 40), ("lights", 50), ("mats", 30), ("mats", 150), ("bottles", 60),
              ("tents", 90), ("stoves", 25), ("mats", 15), ("bottles", 10))  # fmt: skip
    for turn, (category, limit) in enumerate(wishes):
        found = sorted((p for p in PRODUCTS if p.category == category and p.cents < limit * 100), key=lambda p: p.cents)
        listed = [{"name": p.name, "price": price(p.cents), "stock": p.stock} for p in found]
        there = [p for p in found if p.stock]
        gone = [p for p in found if not p.stock]
        if not found:
            cheapest = min((p for p in PRODUCTS if p.category == category), key=lambda p: p.cents)
            more = ("search_products", {"category": category, "max_price": price(cheapest.cents)},
                    [{"name": cheapest.name, "price": price(cheapest.cents), "stock": cheapest.stock}])  # fmt: skip
            yield "search-empty", [
                user(asks[turn % 3].format(c=category, p=euros(limit * 100))),
                *uses(("search_products", {"category": category, "max_price": limit}, [])),
                says(f"We have no {category} for up to {euros(limit * 100)}. Shall I look a little higher?"),
                user(f"Yes, up to {euros(cheapest.cents)} would be all right."),
                *uses(more),
                says(f"Then there is the {cheapest.name} for {euros(cheapest.cents)}"
                     + (f", with {cheapest.stock} in stock." if cheapest.stock else ", but it is sold out at the moment.")),
            ]  # fmt: skip
            continue
        text = f"These {category} fit: " + "; ".join(f"{p.name} for {euros(p.cents)}" for p in there) + "." if there else ""
        if gone:
            text += f"{' ' if text else ''}Sold out at the moment: {', '.join(p.name for p in gone)}."
        yield (
            "search",
            [
                user(asks[turn % 3].format(c=category, p=euros(limit * 100))),
                *uses(("search_products", {"category": category, "max_price": limit}, listed)),
                says(text),
            ],
        )


REASONS = {
    "F-10188": ("The sleeping bag is too short for me.", "too short"),
    "F-10175": ("I clicked on the wrong one.", "wrong item"),
    "F-10160": ("It was a present, and she already has one.", "duplicate gift"),
    "F-10142": ("It loses air overnight.", "leaks"),
    "F-10119": ("I changed my mind.", "changed mind"),
    "F-10067": ("I hardly used it.", "not needed"),
    "F-10031": ("The colour is not what I expected.", "colour"),
    "F-10012": ("I have too many bottles.", "not needed"),
}


def returns() -> Iterator[Talk]:
    for order in (order for order in ORDERS if order.status == "delivered"):
        said, reason = REASONS[order.number]
        ask = f"I want to send back order {order.number}. {said}"
        if order.days_ago <= 30:
            opened = (
                "start_return",
                {"order": order.number, "reason": reason},
                {"return": f"R-{order.number[2:]}", "label": "sent by e-mail"},
            )
            yield "return", [
                user(ask), *uses(order_call(order)), *uses(opened),
                says(f"Done. The return R-{order.number[2:]} for your {order.item} is open, and the label is in your mailbox. Sending it is free."),
            ]  # fmt: skip
        else:
            yield "return-late", [
                user(ask), *uses(order_call(order)),
                says(f"I am sorry: the {order.item} was delivered on {order.date}, {order.days_ago} days ago, and returns are open for 30 days. "
                     "If it is faulty, the two-year guarantee still applies; tell me what is wrong and I will pass it on."),
            ]  # fmt: skip
    for order in (ORDERS[0], ORDERS[3]):
        yield "return-early", [
            user(f"Please take back {order.number}, I no longer need it."), *uses(order_call(order)),
            says(f"Order {order.number} is not delivered yet (expected {order.date}). "
                 "You have 30 days from delivery to return it for free: write to me once it is there, and I will open the return."),
        ]  # fmt: skip


def shipping() -> Iterator[Talk]:
    asks = ("What is shipping to {c} if I buy for {t}?", "How long does delivery to {c} take, and what does it cost? My basket is {t}.")
    for turn, (country, (cents, days)) in enumerate(SHIPPING.items()):
        for total in (3800 + 300 * turn, 7200 + 900 * turn):
            cost = 0 if total >= 6000 else cents
            answer = {"cost": price(cost), "days": days}
            text = (
                f"Standard shipping to {country} is free for a basket of {euros(total)} and takes about {days} days."
                if cost == 0
                else f"Standard shipping to {country} costs {euros(cost)} and takes about {days} days. From 60 euros on it is free."
            )
            yield (
                "shipping",
                [
                    user(asks[(turn + (cost == 0)) % 2].format(c=country, t=euros(total))),
                    *uses(("shipping_quote", {"country": country, "total": price(total)}, answer)),
                    says(text),
                ],
            )


def no_tool() -> Iterator[Talk]:
    """Questions that the system message answers, or that no tool can."""
    talks = (
        ("How long do I have to return something?", "30 days from the day it was delivered, and sending it back is free."),
        ("When is shipping free?", "Standard shipping is free from a basket of 60 euros."),
        ("Do I pay for the return label?", "No. Returns are free within 30 days of delivery."),
        ("Can you change my password?", "No, I cannot reach your account. I can look up products, orders, returns and shipping costs."),
        (
            "My stove broke after a year. Is that covered?",
            "All our goods have a two-year guarantee, so yes. What is the order number, and what broke?",
        ),
        ("Thanks, that was quick!", "You are welcome. Enjoy your trip!"),
        (
            "Will it rain in Innsbruck on Saturday?",
            "I have no weather data, so please look at a forecast. I can help with our products and your orders.",
        ),
        ("Can I have 50 percent off?", "I cannot give discounts. Shipping is free from 60 euros, though."),
        ("Are you a human?", "No, I am a program. I can look things up in the shop for you."),
        (
            "Which tent did my neighbour buy?",
            "I cannot share what other customers ordered. If you describe what you need, I can look for a tent that fits.",
        ),
        ("What day is it today?", "It is 14 March 2025."),
    )
    for question, answer in talks:
        yield "no-tool", [user(question), says(answer)]


def render() -> bytes:
    makers = (order_status, order_without_number, order_unknown, stock, stock_of_two, search, returns, shipping, no_tool)
    lines = []
    for number, (category, messages) in enumerate((talk for maker in makers for talk in maker()), 1):
        record = {
            "id": f"shop-{number:03}",
            "category": category,
            "messages": [{"role": "system", "content": SYSTEM}, *messages],
            "tools": list(TOOLS),
        }
        lines.append(json.dumps(record, ensure_ascii=False) + "\n")
    return "".join(lines).encode("utf-8")


if __name__ == "__main__":
    TARGET.write_bytes(render())
