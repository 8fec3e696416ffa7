"""Which normal ranges fit a person: those of the same sex and age, counted in the same way."""

from CardiacLib.species import species_named
from CardiacLib.types.choices import SegmentChoice
from CardiacLib.types.measures.ranges import NormalRanges, ReferenceRow

from .table import SEXES, shipped_reference_ranges

_PEOPLE = {"male": ("a man", "men"), "female": ("a woman", "women")}


def normal_ranges(choice: SegmentChoice) -> NormalRanges:
    """The ranges of the person that a choice tells of, or one sentence why there is none.

    People alone have some: limits of people say nothing of a rat's or a mouse's heart, whatever table is given.

    Example:
        >>> from CardiacLib.types.choices import Body
        >>> found = normal_ranges(SegmentChoice(body=Body(sex="M", age_years=52)))
        >>> found.limits["lv_ef_percent"].position(40), found.group
        ('below', 'healthy White adults, men of 50 to 59 years')
    """
    if not species_named(choice.species).is_human:
        return NormalRanges(problem=f"No normal ranges: there are none for a {choice.species}.")
    sex, age = SEXES.get((choice.body.sex or "").lower()), choice.body.age_years
    if sex is None or age is None:
        lacking = " and ".join(name for name, value in (("sex", sex), ("age", age)) if value is None)
        verb = "are" if sex is None and age is None else "is"
        told = "No normal ranges: the patient's {} {} not known, and normal limits differ by sex and age."
        return NormalRanges(problem=told.format(lacking, verb))
    rows = choice.reference or shipped_reference_ranges()
    fitting = [row for row in rows if row.sex == sex and row.age_from <= age <= row.age_to]
    if not fitting:
        return NormalRanges(problem=f"No normal ranges: the table has none for {_PEOPLE[sex][0]} of {age} years.")
    counted = [row for row in fitting if row.papillary in ("", choice.papillary)]
    if not counted:
        return NormalRanges(
            problem=f"No normal ranges: those of the table count papillary muscles as {fitting[0].papillary}, these "
            f"measurements as {choice.papillary}."
        )
    return NormalRanges(
        limits={row.measure: row.limits for row in counted},
        group="; ".join(dict.fromkeys(_group(row) for row in counted)),
        sources=tuple(dict.fromkeys(row.source for row in counted)),
    )


def _group(row: ReferenceRow) -> str:
    people = f"{_PEOPLE[row.sex][1]} of {row.age_from} to {row.age_to} years"
    return f"{row.population}, {people}" if row.population else people
