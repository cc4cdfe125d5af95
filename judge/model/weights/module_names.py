"""How the names of a model's parameters in memory are spelt in its files: transformers renames when it loads.

    stored_names(Path("llava"), ["language_model.model.layers.0.mlp.up_proj.weight", …])
    ->  {"model.language_model.layers.0.mlp.up_proj.weight": "language_model.model.layers.0.mlp.up_proj.weight", …}

An adapter has the names of memory. The model is described without storage, so this costs no weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from judge.errors import UserError


def stored_names(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Name in memory → name in the files of `folder`, for those of `names` that are renamed and nothing more.

    Tensors that loading joins or splits are left out. Raises UserError where transformers does not know the model.
    """
    import torch
    import transformers
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

    try:
        config = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
        (architecture, *_) = config.architectures or [""]
        with torch.device("meta"):
            model = getattr(transformers, architecture)._from_config(config)
    except (OSError, ValueError, AttributeError) as error:
        why = " ".join(str(error).split())
        raise UserError(f"is no model of transformers: {why}", file=folder / "config.json") from None
    transforms = get_model_conversion_mapping(model)
    renamings = [one for one in transforms if isinstance(one, WeightRenaming)]
    converters = [one for one in transforms if isinstance(one, WeightConverter)]
    known = model.state_dict()
    found = {}
    for name in names:
        renamed, converter = rename_source_key(name, renamings, converters, model.base_model_prefix, known)
        if converter is None:
            found[renamed] = name
    return found
