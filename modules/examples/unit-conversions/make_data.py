"""Writes data/conversions.csv: word problems about units, each with its working and its answer.

Run it as ``python make_data.py``. Nothing here is random: every row comes from the tables below, every number is exact, and rounding
(half up) happens once, at the end, where the question asks for it. The factors are the ones that define the units (international yard and
pound agreement of 1959; US gallon of 231 cubic inches).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).resolve().parent / "data" / "conversions.csv"


class Problem(NamedTuple):
    category: str
    question: str
    working: str
    answer: str


class Scene(NamedTuple):
    """A sentence with a place for an amount, and the numbers that make sense in it."""

    text: str
    numbers: tuple[str, ...]


class Pair(NamedTuple):
    """Two units of one quantity, as singular and plural: one ``source`` is ``factor`` of ``target``. ``back`` asks the other way."""

    category: str
    source: tuple[str, str]
    target: tuple[str, str]
    factor: str
    there: tuple[Scene, ...]
    back: tuple[Scene, ...]


PAIRS = (
    Pair("length", ("mile", "miles"), ("kilometre", "kilometres"), "1.609344",
         (Scene("The sign at the trailhead says that the lake is {n} away.", ("3", "5.5", "8")),
          Scene("A friend in Ohio tells me that she lives {n} from work.", ("12", "35")),
          Scene("The race is {n} long.", ("10", "26.2", "100"))),
         (Scene("The odometer shows that we drove {n} today.", ("80", "240")), Scene("I run {n} before breakfast.", ("5", "12")))),
    Pair("length", ("kilometre", "kilometres"), ("metre", "metres"), "1000",
         (Scene("My watch shows {n} for this morning's run.", ("4.2", "7.05", "10.5")), Scene("The tunnel is {n} long.", ("0.4", "16.9"))),
         (Scene("The hike gains {n} of height.", ("850", "1340")), Scene("The school is {n} from our door.", ("1200", "650")))),
    Pair("length", ("inch", "inches"), ("centimetre", "centimetres"), "2.54",
         (Scene("The shelf is {n} wide.", ("24", "31.5")),
          Scene("The seller lists the screen as {n} across its diagonal.", ("15.6", "27", "55")),
          Scene("I need a frame for a print that is {n} tall.", ("8.5", "11"))),
         (Scene("My waist measures {n}.", ("81", "92")), Scene("The board is {n} long.", ("60", "127")))),
    Pair("length", ("foot", "feet"), ("metre", "metres"), "0.3048",
         (Scene("The ceiling is {n} high.", ("8", "10")),
          Scene("The pilot says that we are cruising at {n}.", ("29000", "36000")),
          Scene("The rope that I bought is {n} long.", ("30", "150"))),
         (Scene("The tree in the yard is {n} tall.", ("9", "18")), Scene("The wall is {n} long.", ("4.5", "12")))),
    Pair("mass", ("pound", "pounds"), ("kilogram", "kilograms"), "0.45359237",
         (Scene("The parcel weighs {n}.", ("2", "5", "12.5")), Scene("The airline lets me check one bag of up to {n}.", ("50", "70")),
          Scene("The dumbbell is marked {n}.", ("15", "45"))),
         (Scene("The dog weighs {n}.", ("6.5", "31")), Scene("The suitcase weighs {n}.", ("18", "23")))),
    Pair("mass", ("ounce", "ounces"), ("gram", "grams"), "28.349523125",
         (Scene("The recipe calls for {n} of dark chocolate.", ("3.5", "8", "12")), Scene("The letter weighs {n}.", ("1", "2"))),
         (Scene("The recipe calls for {n} of butter.", ("50", "225")), Scene("The ball of wool weighs {n}.", ("100",)))),
    Pair("mass", ("tonne", "tonnes"), ("kilogram", "kilograms"), "1000",
         (Scene("The bridge carries vehicles of up to {n}.", ("3.5", "7.5", "44")), Scene("The quarry delivered {n} of gravel.", ("2.04", "12"))),
         (Scene("The car weighs {n}.", ("1180", "1655")), Scene("We picked {n} of apples.", ("640",)))),
    Pair("volume", ("US gallon", "US gallons"), ("litre", "litres"), "3.785411784",
         (Scene("The fuel tank holds {n}.", ("10", "13.2", "20")), Scene("The aquarium in the advertisement holds {n}.", ("29", "55"))),
         (Scene("The rental car took {n} of petrol.", ("38", "52")), Scene("The kettle for the brew day holds {n}.", ("30",)))),
    Pair("volume", ("litre", "litres"), ("millilitre", "millilitres"), "1000",
         (Scene("The bottle holds {n}.", ("0.33", "0.75", "1.5")), Scene("The jug is filled with {n} of water.", ("1.2", "2.25"))),
         (Scene("The syrup bottle holds {n}.", ("250", "700")), Scene("The soup needs {n} of stock.", ("900", "1750")))),
    Pair("volume", ("cubic metre", "cubic metres"), ("litre", "litres"), "1000",
         (Scene("The meter shows that we used {n} of water this week.", ("1.25", "2")), Scene("The pool takes {n} of water.", ("15", "48.5"))),
         (Scene("The rain barrel holds {n}.", ("300", "510")), Scene("A bath takes {n} of water.", ("140",)))),
    Pair("area", ("hectare", "hectares"), ("square metre", "square metres"), "10000",
         (Scene("The orchard covers {n}.", ("1.75", "6")), Scene("The plot that is for sale has {n}.", ("0.12", "0.5"))),
         (Scene("The park will cover {n}.", ("24000", "135000")), Scene("The vineyard has {n}.", ("8600",)))),
    Pair("area", ("square foot", "square feet"), ("square metre", "square metres"), "0.09290304",
         (Scene("The flat is listed with {n}.", ("650", "1200")), Scene("The workshop has a floor of {n}.", ("250", "400")),
          Scene("One can of the paint covers {n}.", ("90", "375"))),
         (Scene("The living room has {n}.", ("24", "31.5")), Scene("The house has {n} in all.", ("142",)))),
    Pair("energy", ("kilowatt-hour", "kilowatt-hours"), ("megajoule", "megajoules"), "3.6",
         (Scene("The battery of the car stores {n}.", ("52", "77")), Scene("The fridge used {n} this week.", ("2.5", "4.1"))),
         (Scene("The gas boiler delivered {n} of heat.", ("90", "162")),)),
    Pair("energy", ("kilocalorie", "kilocalories"), ("kilojoule", "kilojoules"), "4.184",
         (Scene("The label says that a portion has {n}.", ("90", "250", "520")), Scene("The rowing machine claims that I used {n}.", ("160", "415"))),
         (Scene("The cereal bar has {n}.", ("480", "795")),)),
    Pair("pressure", ("bar", "bar"), ("kilopascal", "kilopascals"), "100",
         (Scene("The tyre should be at {n}.", ("2.3", "2.6")), Scene("The espresso machine works at {n}.", ("9",)),
          Scene("The gauge on the boiler reads {n}.", ("0.8", "1.5"))),
         (Scene("The weather station reports an air pressure of {n}.", ("98.7", "101.3")),)),
)  # fmt: skip

ASKS = (
    "How much is that in {unit}?",
    "What is that in {unit}?",
    "Please convert that to {unit}.",
)

MULTIPLY = (
    "1 {source} is exactly {factor} {targets}, so I multiply by {factor}: {n} × {factor} = {result}.",
    "Each {source} is {factor} {targets} by definition. {n} times {factor} gives {result}.",
)

DIVIDE = (
    "1 {source} is exactly {factor} {targets}, so to get {sources} I divide by {factor}: {n} / {factor} is {about}{result}.",
    "There are {factor} {targets} to the {source}. {n} divided by {factor} is {about}{result}.",
)


def exact(value: Fraction) -> str:
    """The decimal that equals ``value``, with thousands separated; the value must have a finite one."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
        if digits > 30:
            raise ValueError(f"{value} is no finite decimal")
    return f"{Decimal(int(value * 10**digits)).scaleb(-digits):,f}"


def rounded(value: Fraction, places: int) -> str:
    """``value`` rounded half up to at most ``places`` decimals, without trailing zeros."""
    step = Decimal(1).scaleb(-places)
    number = (Decimal(value.numerator) / Decimal(value.denominator)).quantize(step, ROUND_HALF_UP)
    text = f"{number:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def amount(number: str, unit: tuple[str, str]) -> str:
    return f"{number} {unit[0] if number == '1' else unit[1]}"


def asked(pair: Pair) -> Iterator[tuple[Scene, str, bool]]:
    """Each number of each scene, and whether it goes there (or back)."""
    for there, scenes in ((True, pair.there), (False, pair.back)):
        for scene in scenes:
            for text in scene.numbers:
                yield scene, text, there


def conversions() -> Iterator[Problem]:
    """One step: multiply by a factor on the way there, divide by it on the way back."""
    turn = 0
    for pair in PAIRS:
        for scene, text, there in asked(pair):
            given, wanted = (pair.source, pair.target) if there else (pair.target, pair.source)
            result = Fraction(text) * Fraction(pair.factor) if there else Fraction(text) / Fraction(pair.factor)
            short = rounded(result, 2)
            is_exact = Fraction(short.replace(",", "")) == result
            note = (MULTIPLY if there else DIVIDE)[turn % 2].format(
                source=pair.source[0],
                sources=pair.source[1],
                targets=pair.target[1],
                factor=exact(Fraction(pair.factor)),
                n=exact(Fraction(text)),
                result=exact(result) if there else rounded(result, 4),
                about="" if Fraction(rounded(result, 4).replace(",", "")) == result else "about ",
            )
            said = amount(exact(Fraction(text)), given)
            yield Problem(
                pair.category,
                f"{scene.text.format(n=said)} {ASKS[turn % 3].format(unit=wanted[1])}" + ("" if is_exact else " Two decimals are enough."),
                note + ("" if is_exact else f" Rounded to two decimals, that is {short}."),
                f"{said} is {'' if is_exact else 'about '}{amount(short, wanted)}.",
            )
            turn += 1


def temperatures() -> Iterator[Problem]:
    scenes = (
        "The oven dial only shows degrees Fahrenheit, and the recipe wants {c} °C. What should I set?",
        "The forecast for tomorrow says {c} °C. What is that in Fahrenheit?",
        "My freezer is at {c} °C. Which temperature is that on a Fahrenheit scale?",
    )
    for place, celsius in (
        (0, 160), (0, 175), (0, 180), (0, 190), (0, 220), (0, 245),
        (1, -5), (1, 0), (1, 8), (1, 15), (1, 21), (1, 38), (2, -18), (2, -20), (2, -25),
    ):  # fmt: skip
        fahrenheit = Fraction(celsius) * 9 / 5 + 32
        yield Problem(
            "temperature",
            scenes[place].format(c=celsius),
            f"To go from Celsius to Fahrenheit, multiply by 9/5 and add 32: {celsius} × 9/5 = {exact(Fraction(celsius) * 9 / 5)}, "
            f"and {exact(Fraction(celsius) * 9 / 5)} + 32 = {exact(fahrenheit)}.",
            f"{celsius} °C is {exact(fahrenheit)} °F.",
        )
    for fahrenheit_in in (14, 50, 68, 77, 95, 104, 212, 350, 400, 425):
        celsius_out = (Fraction(fahrenheit_in) - 32) * 5 / 9
        short = rounded(celsius_out, 1)
        about = "" if celsius_out == Fraction(short) else "about "
        yield Problem(
            "temperature",
            f"An American friend mentions {fahrenheit_in} °F. What is that in Celsius, to one decimal at most?",
            f"To go from Fahrenheit to Celsius, subtract 32 and multiply by 5/9: {fahrenheit_in} - 32 = {fahrenheit_in - 32}, "
            f"and {fahrenheit_in - 32} × 5/9 is {about}{short}.",
            f"{fahrenheit_in} °F is {about}{short} °C.",
        )


def speeds() -> Iterator[Problem]:
    for kmh in (18, 36, 45, 72, 90, 108, 126, 270):
        yield Problem(
            "speed",
            f"Something moves at {kmh} km/h. How many metres does it cover in one second?",
            f"{kmh} km is {kmh * 1000:,} m, and an hour has 3,600 seconds, so I divide: {kmh * 1000:,} / 3,600 = {exact(Fraction(kmh * 10, 36))}.",
            f"At {kmh} km/h it covers {exact(Fraction(kmh * 10, 36))} metres in each second.",
        )
    for kilometres, minutes in ((6, 40), (9, 45), (25, 75), (42, 84), (120, 90), (210, 150), (8, 30), (15, 50)):
        speed = Fraction(kilometres * 60, minutes)
        yield Problem(
            "speed",
            f"We covered {kilometres} km in {minutes} minutes. What was our average speed in km/h?",
            f"{minutes} minutes is {minutes}/60 of an hour. Speed is distance divided by time: {kilometres} / ({minutes}/60) = "
            f"{kilometres} × 60 / {minutes} = {exact(speed)}.",
            f"The average speed was {exact(speed)} km/h.",
        )


def clock(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    parts = [f"{hours} hour{'s' if hours != 1 else ''}"] if hours else []
    if rest:
        parts.append(f"{rest} minute{'s' if rest != 1 else ''}")
    return " and ".join(parts)


def durations() -> Iterator[Problem]:
    for minutes in (75, 100, 135, 190, 245, 361, 500):
        yield Problem(
            "time",
            f"The film runs for {minutes} minutes. How long is that in hours and minutes?",
            f"An hour has 60 minutes. {minutes} divided by 60 is {minutes // 60} with {minutes % 60} left over.",
            f"{minutes} minutes is {clock(minutes)}.",
        )
    for start, length in ((495, 50), (565, 95), (690, 130), (1005, 45), (1130, 155), (1320, 200)):
        end = (start + length) % 1440
        crossing = start + length >= 1440
        begins, ends = f"{start // 60}:{start % 60:02}", f"{end // 60}:{end % 60:02}"
        total = start + length
        yield Problem(
            "time",
            f"The train leaves at {begins} and takes {clock(length)}. When does it arrive (24-hour clock)?",
            f"{begins} is {start} minutes after midnight. Adding {length} minutes gives {total}."
            + (f" A day has 1,440 minutes, so that is {end} minutes into the next day." if crossing else "")
            + f" {end} minutes is {clock(end)}.",
            f"It arrives at {ends}{' on the following day' if crossing else ''}.",
        )


def comparisons() -> Iterator[Problem]:
    table = (
        ("heavier", "5 pounds", Fraction("0.45359237") * 5, "2.3 kilograms", Fraction("2.3"), "kg"),
        ("heavier", "12 ounces", Fraction("0.028349523125") * 12, "0.35 kilograms", Fraction("0.35"), "kg"),
        ("longer", "6 feet", Fraction("0.3048") * 6, "1.8 metres", Fraction("1.8"), "m"),
        ("longer", "3 miles", Fraction("1.609344") * 3, "5 kilometres", Fraction(5), "km"),
        ("longer", "40 inches", Fraction("0.0254") * 40, "1 metre", Fraction(1), "m"),
        ("longer", "100 yards", Fraction("0.9144") * 100, "90 metres", Fraction(90), "m"),
        ("more", "a US pint", Fraction("0.473176473"), "half a litre", Fraction("0.5"), "l"),
        ("more", "2 US gallons", Fraction("3.785411784") * 2, "7.5 litres", Fraction("7.5"), "l"),
        ("larger", "an acre", Fraction("0.40468564224"), "half a hectare", Fraction("0.5"), "ha"),
        ("larger", "1100 square feet", Fraction("0.09290304") * 1100, "100 square metres", Fraction(100), "m²"),
        ("faster", "60 miles per hour", Fraction("1.609344") * 60, "100 kilometres per hour", Fraction(100), "km/h"),
        ("warmer", "75 °F", (Fraction(75) - 32) * 5 / 9, "24 °C", Fraction(24), "°C"),
    )
    for word, left, left_value, right, right_value, unit in table:
        winner, loser = (left, right) if left_value > right_value else (right, left)
        name = winner[0].upper() + winner[1:]
        yield Problem(
            "comparison",
            f"Which is {word}: {left} or {right}?",
            f"In one unit they are easy to compare: {left} is {'' if Fraction(rounded(left_value, 3)) == left_value else 'about '}"
            f"{rounded(left_value, 3)} {unit}, and {right} is {rounded(right_value, 3)} {unit}. "
            f"{rounded(max(left_value, right_value), 3)} is more than {rounded(min(left_value, right_value), 3)}.",
            f"{name} is {word} than {loser}.",
        )


def shopping() -> Iterator[Problem]:
    for thing, cents, grams in (
        ("Cherries", 720, 350), ("Mountain cheese", 1880, 250), ("Coffee beans", 2450, 400), ("Potatoes", 140, 2500),
        ("Walnuts", 1320, 150), ("Carrots", 190, 800), ("Salmon", 2990, 600),
    ):  # fmt: skip
        price = Fraction(cents * grams, 100_000)
        yield Problem(
            "price",
            f"{thing} cost {cents / 100:.2f} euros per kilogram. What do I pay for {grams:,} grams?",
            f"{grams:,} grams is {exact(Fraction(grams, 1000))} kilograms. {cents / 100:.2f} × {exact(Fraction(grams, 1000))} = {exact(price)}.",
            f"You pay {Decimal(rounded(price, 2)):.2f} euros.",
        )
    for dish, item, quantity, unit, serves, guests in (
        ("The pancake recipe", "flour", 300, "g", 4, 6), ("The risotto recipe", "rice", 320, "g", 4, 5),
        ("The lemonade recipe", "sugar", 120, "g", 6, 15), ("The soup recipe", "stock", 1200, "ml", 5, 8),
        ("The dough recipe", "water", 325, "ml", 2, 3), ("The curry recipe", "coconut milk", 400, "ml", 4, 7),
    ):  # fmt: skip
        needed = Fraction(quantity * guests, serves)
        yield Problem(
            "recipe",
            f"{dish} needs {quantity:,} {unit} of {item} and serves {serves}. How much do I need for {guests} people?",
            f"For one person it is {quantity:,} / {serves} = {exact(Fraction(quantity, serves))} {unit}. "
            f"For {guests} people it is {exact(Fraction(quantity, serves))} × {guests} = {exact(needed)} {unit}.",
            f"You need {exact(needed)} {unit} of {item}.",
        )


def downloads() -> Iterator[Problem]:
    for gigabytes, megabits in (("1.5", 50), ("4", 80), ("0.9", 24), ("12", 100), ("25", 250), ("7.2", 16)):
        size = Fraction(gigabytes) * 8000
        seconds = size / megabits
        yield Problem(
            "data",
            f"How long does it take to download {gigabytes} gigabytes over a line of {megabits} megabits per second, at best?",
            f"A byte has 8 bits and a gigabyte has 1,000 megabytes, so {gigabytes} GB is {gigabytes} × 8,000 = {exact(size)} megabits. "
            f"{exact(size)} / {megabits} = {exact(seconds)} seconds.",
            f"At best it takes {exact(seconds)} seconds, which is {clock(int(seconds / 60))}."
            if (seconds / 60).denominator == 1
            else f"At best it takes {exact(seconds)} seconds.",
        )
    for gibibytes in (2, 4, 8, 16, 64):
        yield Problem(
            "data",
            f"How many bytes is {gibibytes} GiB?",
            f"A gibibyte is 2 to the power of 30, or 1,073,741,824, bytes. {gibibytes} × 1,073,741,824 = {gibibytes * 2**30:,}.",
            f"{gibibytes} GiB is {gibibytes * 2**30:,} bytes.",
        )


def render() -> bytes:
    """The whole file: RFC 4180, but with ``\\n`` at the end of a line."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(("id", "category", "question", "working", "answer"))
    makers = (conversions, temperatures, speeds, durations, comparisons, shopping, downloads)
    problems = [problem for maker in makers for problem in maker()]
    for number, problem in enumerate(problems, 1):
        writer.writerow((f"unit-{number:03}", *problem))
    return buffer.getvalue().encode("utf-8")


if __name__ == "__main__":
    TARGET.write_bytes(render())
