"""Errors a user can act on: each names the file or clip, the field, and the fix."""


class Phys4DError(Exception):
    """Base of all errors this project raises on bad input."""


class InvalidClipError(Phys4DError, ValueError):
    """A clip breaks its schema: wrong shape, dtype, length, or values out of range."""


class MissingAnnotationError(Phys4DError, LookupError):
    """A clip lacks an annotation that the caller needs."""


class CorruptShardError(Phys4DError, OSError):
    """A shard or its manifest cannot be read, or its content does not match its hash."""


class MediaError(Phys4DError, ValueError):
    """A video, image or annotation file of the user cannot be used as it is."""


class ConfigurationError(Phys4DError, ValueError):
    """A parameter, a combination of parameters, or a scene description is wrong."""


class MissingInputError(Phys4DError, LookupError):
    """A run needs data that does not exist yet; the message names the pipelines that make it."""


class CheckpointError(Phys4DError, ValueError):
    """A checkpoint or model folder is missing, partial, or belongs to something else."""


class DataQualityError(Phys4DError, ValueError):
    """A set of clips fails its expectations; the message names the clips."""


class StorageFullError(Phys4DError, OSError):
    """Writing failed because the disk (or quota) is full; what was complete before is kept."""


class LaunchError(Phys4DError, RuntimeError):
    """A process of a job failed, or the job waits to be run by an external launcher."""
