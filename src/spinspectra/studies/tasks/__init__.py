"""What a network is good at, in numbers: tasks that take the folder of a checkpoint and give its metrics by name."""

from spinspectra.studies.tasks.base import Task, is_accuracy
from spinspectra.studies.tasks.images import ImageTop1
from spinspectra.studies.tasks.perplexity import CausalPerplexity, MaskedPerplexity, text_task
from spinspectra.studies.tasks.texts import Text, hub_text, text_file
from spinspectra.studies.tasks.user import UserTask

__all__ = [
    "CausalPerplexity",
    "ImageTop1",
    "MaskedPerplexity",
    "Task",
    "Text",
    "UserTask",
    "hub_text",
    "is_accuracy",
    "text_file",
    "text_task",
]
