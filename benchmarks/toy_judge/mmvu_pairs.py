"""The pairs of the MMVU demo: 24 drawn pictures, two in each category, each with a positive and a leading question.

    Pair("attribute/shape/01", [Placed("triangle", "green", …)],
         positive=Asked("Is the shape a triangle?", "The shape is a triangle.", "The shape is a hexagon.", …),
         leading=Asked("Is the hexagon green or blue?", "The shape is a triangle.", "The hexagon is green.", …))

Texts and pictures were made for this project; ids and layout follow the published file (see `mmvu_tasks.records`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from judge.demo.drawing import Placed, spell_word


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question, its right option and three wrong ones; `mmvu_data` puts letters to them."""

    stem: str
    right: str
    one: str
    two: str
    three: str


@dataclasses.dataclass(frozen=True)
class Pair:
    """One picture, by its stamps, and the two questions about it; id: "attribute/shape/01"."""

    id: str
    scene: Sequence[Placed]
    positive: Asked
    leading: Asked


def _big(name: str, colour: str) -> list[Placed]:
    return [Placed(name, colour, 2, 2, 2)]


PAIRS: tuple[Pair, ...] = (
    Pair(
        "character/character/01",
        spell_word("STOP", "red", 0, 8),
        Asked("Does the sign say 'STOP'?", "The sign says 'STOP'.",
               "The sign says 'SHOP'.", "The sign says 'SPOT'.", "The sign says 'TOPS'."),
        Asked("In what colour is 'SHOP' written on the sign?", "The sign says 'STOP' in red.",
               "The sign says 'SHOP' in red.", "The sign says 'SHOP' in blue.", "The sign says 'SPOT' in blue."),
    ),
    Pair(
        "character/character/02",
        spell_word("24", "blue", 6, 8),
        Asked("Is '24' the number on the door?", "The number is '24'.",
               "The number is '42'.", "The number is '21'.", "The number is '84'."),
        Asked("Who lives behind the door with the number '42'?", "The number on the door is '24'.",
               "The owner of number '42'.", "The guests of number '42'.", "The number on the door is '48'."),
    ),
    Pair(
        "attribute/existence/01",
        [Placed("cup", "blue", 1, 7), Placed("heart", "red", 13, 7)],
        Asked("Is there a cup in the picture?", "There is a blue cup.",
               "There is a blue boat.", "There is a green tree.", "There is no cup."),
        Asked("What colour is the boat beside the heart?", "There is no boat.",
               "The boat is blue.", "The boat is red.", "The boat is green."),
    ),
    Pair(
        "attribute/existence/02",
        [Placed("tree", "green", 1, 7), Placed("fish", "orange", 13, 8)],
        Asked("Is there a fish in the picture?", "There is an orange fish.",
               "There is an orange kite.", "There is no fish.", "There is a black cup."),
        Asked("Why does the house stand beside the tree?", "There is no house.",
               "The house needs shade.", "The house is orange.", "The house belongs to the fish."),
    ),
    Pair(
        "attribute/color&texture/01",
        _big("star", "yellow"),
        Asked("Is the star yellow?", "The star is yellow.",
               "The star is blue.", "The star is purple.", "The star is black."),
        Asked("Is the purple star brighter than its paper?", "The star is yellow.",
               "The purple star is brighter.", "The purple star is darker.", "The star is green."),
    ),
    Pair(
        "attribute/color&texture/02",
        _big("checkers", "red"),
        Asked("Is the red cloth checked?", "The cloth is checked.",
               "The cloth is striped.", "The cloth has round dots.", "The cloth is plain blue."),
        Asked("Which way do the bars of the striped cloth run?", "The cloth is checked.",
               "The bars run up.", "The striped cloth has level bars.", "The striped cloth is red."),
    ),
    Pair(
        "attribute/number/01",
        [Placed("heart", "pink", 1, 1), Placed("heart", "pink", 13, 1), Placed("heart", "pink", 1, 13)],
        Asked("Are there three hearts?", "There are three hearts.",
               "There are two hearts.", "There are four hearts.", "There are five hearts."),
        Asked("Are all five hearts pink?", "There are three hearts, all pink.",
               "There are five pink hearts.", "Of five hearts, four are pink.", "There are two hearts, all pink."),
    ),
    Pair(
        "attribute/number/02",
        [Placed("boat", "black", 1, 1), Placed("boat", "blue", 13, 13)],
        Asked("Are there two boats on the water?", "There are two boats.",
               "There is one boat.", "There are three boats.", "There are four boats."),
        Asked("Which of the four boats is blue?", "There are two boats, and one is blue.",
               "The first of four boats.", "The last of four boats.", "Three boats are blue."),
    ),
    Pair(
        "attribute/shape/01",
        _big("triangle", "green"),
        Asked("Is the shape a triangle?", "The shape is a triangle.",
               "The shape is a hexagon.", "The shape is round.", "The shape is a square."),
        Asked("Is the green hexagon flat at the bottom?", "The shape is a triangle.",
               "The hexagon is flat.", "The hexagon is pointed.", "The shape is a green square."),
    ),
    Pair(
        "attribute/shape/02",
        [Placed("ring", "purple", 5, 5)],
        Asked("Is the purple thing a ring?", "It is a ring.",
               "It is a square.", "It is a cross.", "It is a star."),
        Asked("Which corner of the square is missing?", "It is a ring and has no corner.",
               "The upper corner of the square.", "The lower corner of the square.", "The square is whole."),
    ),
    Pair(
        "attribute/posture/01",
        _big("sitting", "blue"),
        Asked("Is the person sitting?", "The person is sitting.",
               "The person is standing.", "The person is lying.", "The person is running."),
        Asked("For how long has the person been standing?", "The person is sitting.",
               "The person is standing for an hour.", "The person has been standing all day.", "The person is lying."),
    ),
    Pair(
        "attribute/posture/02",
        _big("lying", "orange"),
        Asked("Is the person lying down?", "The person is lying.",
               "The person is sitting.", "The person is standing.", "The person has both arms raised."),
        Asked("Is the sitting person tired?", "The person is lying.",
               "The sitting person is tired.", "The sitting person is awake.", "The person is standing."),
    ),
    Pair(
        "attribute/position/01",
        [Placed("ball", "red", 1, 7), Placed("box", "blue", 13, 7)],
        Asked("Is the ball left of the box?", "The ball is left of the box.",
               "The ball is right of the box.", "The ball is above the box.", "The ball is below the box."),
        Asked("Why is the ball right of the box?", "The ball is left of the box.",
               "It was rolled right of the box.", "The ball is right of the box for safety.",
               "The ball is above the box."),
    ),
    Pair(
        "attribute/position/02",
        [Placed("sun", "yellow", 7, 1), Placed("house", "red", 7, 13)],
        Asked("Is the sun above the house?", "The sun is above the house.",
               "The sun is below the house.", "The sun is left of the house.", "The sun is right of the house."),
        Asked("Does the sun below the house set?", "The sun is above the house.",
               "The sun is below the house and sets.", "The sun is below the house and rises.",
               "The sun is left of the house."),
    ),
    Pair(
        "context/abstract/01",
        _big("smile", "orange"),
        Asked("Is the mood of the face happy?", "The mood is happy.",
               "The mood is sad.", "The mood is sorrow.", "The mood is danger."),
        Asked("What makes the face so sad?", "The face is happy.",
               "The face is sad from a loss.", "A sad tale.", "The face is sad and unhappy."),
    ),
    Pair(
        "context/abstract/02",
        _big("skull", "black"),
        Asked("Does the sign stand for danger?", "It stands for danger.",
               "It stands for love.", "It stands for joy.", "It stands for a king."),
        Asked("For whom is this sign of love meant?", "It stands for danger.",
               "The love is for a friend.", "The love is for a child.", "It stands for a happy end."),
    ),
    Pair(
        "context/concrete/01",
        [Placed("rain", "blue", 1, 2), Placed("umbrella", "red", 13, 13)],
        Asked("Is it a rainy day?", "It is a rainy day.",
               "It is a sunny day.", "It is a cold winter day.", "It is a warm day."),
        Asked("Is the umbrella there against the sunny weather?", "It is rainy, and the umbrella is a shelter.",
               "The umbrella keeps sunny light off.", "The sunny weather needs no umbrella.", "It is a cold winter."),
    ),
    Pair(
        "context/concrete/02",
        [Placed("snowman", "black", 1, 10), Placed("tree", "green", 12, 11)],
        Asked("Is it winter in the forest?", "It is winter.",
               "It is warm.", "It is rainy.", "It is sunny."),
        Asked("Do the trees enjoy the warm sunny weather?", "It is winter.",
               "The trees enjoy the warm weather.", "The sunny weather is too warm.", "It is rainy."),
    ),
    Pair(
        "context/expert/01",
        _big("hexagon", "yellow"),
        Asked("Is this polygon a hexagon?", "It is a hexagon, six-sided.",
               "It is an octagon, eight-sided.", "It is a triangle, three-sided.", "It is a square."),
        Asked("Which traffic sign is eight-sided like this octagon?", "None: this is a hexagon, six-sided.",
               "Stop is eight-sided like this octagon.", "Yield is eight-sided too.", "None: this is a square."),
    ),
    Pair(
        "context/expert/02",
        _big("crown", "yellow"),
        Asked("Is this worn by a king?", "It is the crown of a king.",
               "It is the umbrella of a guard.", "It is a cup to drink from.", "It is a key."),
        Asked("What does a guest unlock with this key?", "It is a crown, not for a lock.",
               "The key opens a door.", "The key opens a chest.", "It is an umbrella."),
    ),
    Pair(
        "context/activity/01",
        _big("cycling", "blue"),
        Asked("Does the person ride a bicycle?", "The person rides a bicycle.",
               "The person runs.", "The person is fishing.", "The person sits still."),
        Asked("How far has the person been running in this race?", "The person rides a bicycle.",
               "Running all of the race.", "Running half of the race.", "The person is fishing."),
    ),
    Pair(
        "context/activity/02",
        _big("fishing", "green"),
        Asked("Is the person fishing?", "The person is fishing with a rod.",
               "The person is running.", "The person is cycling.", "The person is asleep."),
        Asked("Is the person who is cycling fast?", "The person is fishing with a rod.",
               "The person is cycling fast.", "The person is cycling, but not fast.", "The person is running."),
    ),
    Pair(
        "context/relation/01",
        [Placed("ring", "blue", 5, 5), Placed("heart", "red", 7, 8)],
        Asked("Is the heart inside the ring?", "The heart is inside the ring.",
               "The heart is outside the ring.", "The heart is below the ring.", "The heart is left of the ring."),
        Asked("How far outside the ring is the heart?", "The heart is inside the ring.",
               "The heart is just outside the ring.", "The heart is far outside the ring.",
               "The heart is below the ring."),
    ),
    Pair(
        "context/relation/02",
        [Placed("fence", "black", 0, 0), Placed("key", "orange", 13, 18)],
        Asked("Is the key outside the fence?", "The key is outside the fence.",
               "The key is inside the fence.", "The key is above the fence.", "The key is left of the fence."),
        Asked("Who put the key inside the fence?", "The key is outside the fence.",
               "A child put the key inside the fence.", "The key grew inside the fence.",
               "The key is above the fence."),
    ),
)  # fmt: skip
