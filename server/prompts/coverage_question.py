"""coverage_question: what the policy documents say about one topic."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from server.catalog.tool import Arguments, Text
from server.protocol.prompt import DATA, Prompt


class CoverageQuestion(Arguments):
    """What the question is about."""

    topic: Annotated[Text, StringConstraints(max_length=300)] = Field(
        description="What to look up, such as: water damage in a home policy."
    )


def _text(arguments: CoverageQuestion) -> str:
    return f"""\
What do my policy documents say about the following topic?

Topic: {arguments.topic}

Call search_policies with the topic put as one plain question. If no passage answers it, search once more in other \
words. Then answer from the passages alone: what is covered, what is not, and each deductible, limit or deadline with \
its figure, naming the document it comes from. If the passages do not tell, say that the documents do not tell, and do \
not fill the gap from general knowledge. If the search is refused, give the reason and what to do about it.

{DATA}"""


PROMPT: Final = Prompt(
    name="coverage_question",
    title="Coverage question",
    description="What your policy documents say about a topic: covered or not, with deductibles, limits and sources.",
    arguments=CoverageQuestion,
    tools=frozenset({"search_policies"}),
    text=_text,
)
