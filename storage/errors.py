"""What the store raises. The message of each is one sentence that an operator can act on."""


class StoreError(Exception):
    """Base of everything below."""


class StoreUnavailable(StoreError):
    """The store cannot take or give anything now; nothing of this unit was committed. Try again later."""


class CommitOutcomeUnknown(StoreUnavailable):
    """The connection went while COMMIT was under way and the store could not be asked what became of it.

    The unit may or may not be committed. Its keys were made by us, so repeating it with the same keys
    cannot store it twice.
    """


class StoreClosed(StoreUnavailable):
    """The writer was stopped before this unit was handed in."""


class NotDurable(StoreError):
    """The store's settings would acknowledge what a power cut can take back."""


class SchemaMismatch(StoreError):
    """The schema in the store is not the one that this release works with."""


class Conflict(StoreError):
    """The change contradicts what the store holds: the name or number belongs to another account."""


class Stale(StoreError):
    """The row is not as this unit took it to be: somebody else has changed it since."""


class NotFound(StoreError):
    """What should be changed is not in the store."""
