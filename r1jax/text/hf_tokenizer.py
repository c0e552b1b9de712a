"""Hugging Face's tokenizer.json behind our interface."""

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import processors

from r1jax.config import UserError
from r1jax.text import special_tokens
from r1jax.text.chat import ChatTemplate
from r1jax.text.special_tokens import SETTINGS
from r1jax.text.thought import TAGS

FILE, TEMPLATE = "tokenizer.json", "chat_template.jinja"
OTHERS = "additional_chat_templates"  # a folder of NAME.jinja
DEFAULT = "default"
GENERATION = "generation_config.json"
ROLES = ("bos_token_id", "eos_token_id", "pad_token_id")  # of GENERATION
BYTE = re.compile("<0x[0-9A-F]{2}>")


def read_json(path: Path) -> dict[str, Any]:
    """Returns a JSON object, or an empty one where there is no such file.

    Raises:
      UserError: if the file holds something else; names it.
    """
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error})") from error
    if not isinstance(document, dict):
        raise UserError(f"{path}: got {document!r:.40}, wanted an object")
    return document


def sampling_fields(generation: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a generation_config.json beside the ids, such as temperature."""
    return {k: v for k, v in generation.items() if k not in ROLES}


class HfTokenizer:
    """A tokenizer of the `tokenizers` library with the roles of its ids.

    Text that spells a token of the vocabulary's own, such as <|im_end|>, becomes that token: chat
    templates rely on it. Decoding leaves out the special ones, but never the tags of thought and
    answer: rewards read those.
    """

    def __init__(
        self,
        core: tokenizers.Tokenizer,
        *,
        bos_id: int | None,
        add_bos: bool,
        eos_id: int,
        stop_ids: tuple[int, ...],
        pad_id: int,
        tokens: Mapping[str, str],
        template: str | None,
        generation: Mapping[str, Any],
        others: Mapping[str, str] | None = None,
    ):
        """Wraps a tokenizer; `named_bos_id` is `bos_id`, added or not.

        Args:
          core: the library's.
          bos_id: begins a text; None for none.
          add_bos: whether it is put before every text that is no chat (a chat template writes it).
          eos_id: ends a document.
          stop_ids: ends a completion: any of these.
          pad_id: fills what is masked.
          tokens: texts of the special tokens that its files name (`special_tokens.named_tokens`).
          template: Jinja text of its chat template, or None.
          generation: fields of generation_config.json beside the ids, such as temperature: kept.
          others: Jinja text of further templates by name, such as "tool_use": kept, never used.

        Raises:
          UserError: if one of the ids is not in the vocabulary, or the template is no Jinja.
        """
        self._core, self.named_bos_id = core, bos_id
        self.tokens, self.generation = dict(tokens), dict(generation)
        self.others = dict(others or {})
        self.chat = None if template is None else ChatTemplate(template, tokens=tokens)
        self.bos_id, self.eos_id, self.pad_id = bos_id if add_bos else None, eos_id, pad_id
        self.stop_ids = tuple(dict.fromkeys(stop_ids))
        self.size = max(core.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        strangers = [i for i in (bos_id, eos_id, pad_id, *stop_ids) if i and not 0 <= i < self.size]
        if strangers:
            raise UserError(f"tokenizer: ids {strangers} are not within its {self.size}")
        special = {i for i, token in core.get_added_tokens_decoder().items() if token.special}
        tags = {core.token_to_id(tag) for tag in TAGS}
        self._silent = ({bos_id, eos_id, pad_id, *stop_ids} | special) - tags
        if self.bos_id is not None and self.bos_id not in core.encode("a").ids:
            # other programs go by the post-processor alone
            bos = str(core.id_to_token(self.bos_id))
            core.post_processor = processors.TemplateProcessing(
                single=f"{bos}:0 $A:0",
                pair=f"{bos}:0 $A:0 $B:0",
                special_tokens=[(bos, self.bos_id)],
            )

    @classmethod
    def load(cls, directory: Path) -> "HfTokenizer":
        """Reads tokenizer.json and the roles that the files beside it name.

        BOS goes before a text if `add_bos_token` says so, else if the tokenizer's own
        post-processor does. A completion stops at every id of generation_config.json's
        eos_token_id and at the tokenizer's eos.

        Raises:
          UserError: names the file that is missing or damaged, or what it lacks.
        """
        path = directory / FILE
        if not path.is_file():
            raise UserError(f"{directory}: lacks {FILE}")
        try:
            core = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises nothing narrower
            raise UserError(f"{path}: no tokenizer: {error}") from error
        # the library's files may ask for truncation and padding, which would change the ids
        core.no_truncation()
        core.no_padding()
        size = max(core.get_vocab(with_added_tokens=True).values(), default=-1) + 1
        names = ("config.json", GENERATION, SETTINGS, special_tokens.OLD)
        model, generation, settings, old = (read_json(directory / name) for name in names)
        tokens = special_tokens.named_tokens(settings, old, directory)

        def named(role: str) -> int | None:
            text = tokens.get(f"{role}_token")
            if text is not None and core.token_to_id(text) is None:
                raise UserError(f"{directory / SETTINGS}: {role}_token {text!r} is not in {FILE}")
            return None if text is None else core.token_to_id(text)

        def given(role: str) -> list[int]:
            return special_tokens.ids(generation, role, directory / GENERATION, size=size)

        bos_id, eos_id, pad_id = map(named, ("bos", "eos", "pad"))
        ends = given("eos"), special_tokens.ids(model, "eos", directory / "config.json", size=size)
        stops = [*([] if eos_id is None else [eos_id]), *(ends[0] or ends[1])]
        if not stops:
            raise UserError(
                f"{directory}: neither {SETTINGS} nor {GENERATION} nor config.json names an eos "
                "token, so no completion would end"
            )
        if bos_id is None:
            bos_id = next(iter(given("bos")), None)
        if pad_id is None:
            pad_id = next(iter(given("pad")), stops[0])
        if "add_bos_token" in settings:
            add_bos = bool(settings["add_bos_token"])
        else:
            add_bos = bos_id in core.encode("a").ids
        template, others = _templates(directory, settings)
        try:
            return cls(
                core,
                bos_id=bos_id,
                add_bos=add_bos,
                eos_id=stops[0],
                stop_ids=tuple(stops),
                pad_id=pad_id,
                tokens=tokens,
                template=template,
                generation=sampling_fields(generation),
                others=others,
            )
        except UserError as error:
            text = str(error)
            raise UserError(text if str(directory) in text else f"{directory}: {text}") from error

    @property
    def fingerprint(self) -> str:
        """sha256 of tokenizer.json."""
        return hashlib.sha256(self._core.to_str(pretty=True).encode()).hexdigest()

    def files(self) -> dict[str, bytes]:
        """What `load` reads, by file name."""
        settings: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": self.bos_id is not None,
            **special_tokens.as_settings(self.tokens),
            "clean_up_tokenization_spaces": False,
        }
        ids = (self.named_bos_id, list(self.stop_ids), self.pad_id)
        roles = {k: v for k, v in zip(ROLES, ids, strict=True) if v is not None}
        named = {DEFAULT: self.chat.source, **self.others} if self.chat else {}
        if self.others:
            entries = [{"name": name, "template": text} for name, text in named.items()]
            settings["chat_template"] = entries
        elif self.chat:  # in both places: older readers know only the settings
            settings["chat_template"] = self.chat.source
        files = {
            FILE: self._core.to_str(pretty=True),
            SETTINGS: _as_json(settings),
            GENERATION: _as_json({**roles, **self.generation}),
        }
        for name, text in named.items():
            files[TEMPLATE if name == DEFAULT else f"{OTHERS}/{name}.jinja"] = text
        return {name: text.encode() for name, text in files.items()}

    def with_chat(self, source: str) -> "HfTokenizer":
        """The same tokenizer with this chat template alone, which sees its bos and eos."""
        ids = {"bos_token": self.named_bos_id, "eos_token": self.eos_id}
        texts = {k: str(self._core.id_to_token(i)) for k, i in ids.items() if i is not None}
        return HfTokenizer(
            self._core,
            bos_id=self.named_bos_id,
            add_bos=self.bos_id is not None,
            eos_id=self.eos_id,
            stop_ids=self.stop_ids,
            pad_id=self.pad_id,
            tokens={**texts, **self.tokens},
            template=source,
            generation=self.generation,
        )

    def with_sampling(self, fields: Mapping[str, Any]) -> "HfTokenizer":
        """The same tokenizer; fields of generation_config.json that it lacks are these."""
        other = copy.copy(self)
        other.generation = {**fields, **self.generation}
        return other

    def document(self) -> dict[str, Any]:
        """The contents of tokenizer.json."""
        return json.loads(self._core.to_str())

    def is_byte(self, token: int) -> bool:
        return BYTE.fullmatch(self._core.id_to_token(token) or "") is not None

    def encode(self, text: str) -> list[int]:
        return self._core.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        spoken = [i for i in ids if i not in self._silent]
        return self._core.decode(spoken, skip_special_tokens=False)


def _templates(directory: Path, settings: Mapping[str, Any]) -> tuple[str | None, dict[str, str]]:
    """The chat template, and others by name, such as one for tools; files go before settings."""
    paths = {path.stem: path for path in sorted((directory / OTHERS).glob("*.jinja"))}
    if (directory / TEMPLATE).is_file():
        paths[DEFAULT] = directory / TEMPLATE
    source, where = settings.get("chat_template"), directory / SETTINGS
    listed = isinstance(source, list)
    entries = source if listed else [{"name": DEFAULT, "template": source}]
    named: dict[str, Any] = {
        str(e.get("name")): e.get("template") for e in entries if isinstance(e, Mapping)
    }
    for name, path in paths.items():
        try:
            named[name] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise UserError(f"{path}: no UTF-8: {error}") from error
    if DEFAULT not in named:
        raise UserError(
            f"{where}: chat_template names {sorted(named)}, wanted one named 'default'; "
            f"rename one, or write it to {TEMPLATE}"
        )
    for name, text in named.items():
        bad = not isinstance(text, str) and (name != DEFAULT or text is not None or listed)
        if bad or Path(name).name != name:
            raise UserError(f"{where}: chat_template {name!r} is {text!r:.40}, wanted Jinja")
    template = named.pop(DEFAULT)
    if template is None and named:
        raise UserError(f"{directory / OTHERS}: {sorted(named)}, but there is no {TEMPLATE}")
    return template, named


def _as_json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
