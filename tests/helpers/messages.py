"""What a message must hold, whatever its wording."""


def mentions(message: str | None, *facts: object) -> bool:
    """Whether a message holds each of these options, names, paths and numbers."""
    return all(str(fact) in (message or "") for fact in facts)
