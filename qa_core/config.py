"""One frozen model per stage; a run is described by these values and nothing else.

Every section is a *what*; its ``compute`` block is a *where* (workers, GPUs, batch sizes) and never changes a result's
identity. Keys that are handed to a library keep that library's spelling (``lora_alpha``, ``bnb_4bit_quant_type``,
``target_ongoing_requests``, ``n_ctx``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

QuestionType = Literal["factual", "analytical", "comparative", "hypothetical"]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, protected_namespaces=())


# --------------------------------------------------------------------------------------------------------------- run


class RunSettings(Section):
    name: str = Field("default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Folder of this run below ``storage``."""
    storage: str = "runs"
    """A local folder or a pyarrow filesystem URI (``s3://bucket/prefix``, ``gs://...``)."""
    seed: int = Field(17, ge=0, lt=2**31)
    """The only source of randomness of every stage."""


class DataCompute(Section):
    """Where a Ray Data stage runs."""

    num_workers: int = Field(2, ge=1)
    """Most tasks or actors at once."""
    cpus_per_worker: float = Field(0.5, gt=0)
    gpus_per_worker: float = Field(0.0, ge=0)
    batch_size: int = Field(32, ge=1)
    """Rows handed to a worker at a time."""


# -------------------------------------------------------------------------------------------------------- base model


class PretrainedModel(Section):
    """A causal language model from a hub or a local folder."""

    source: Literal["pretrained"] = "pretrained"
    name_or_path: str = "Qwen/Qwen2.5-3B-Instruct"
    revision: str | None = None


class ScratchModel(Section):
    """A small Qwen2 model that Lectern builds from the corpus itself: needs no hub and no GPU."""

    source: Literal["scratch"]
    vocab_size: int = Field(4096, ge=512)
    hidden_size: int = Field(256, ge=256, multiple_of=256)
    """A multiple of 256, because k-quants work on super-blocks of 256 weights."""
    intermediate_size: int = Field(768, ge=256, multiple_of=256)
    num_hidden_layers: int = Field(4, ge=1)
    num_attention_heads: int = Field(4, ge=1)
    num_key_value_heads: int = Field(2, ge=1)
    max_position_embeddings: int = Field(2048, ge=256)
    pretraining_steps: int = Field(100, ge=0)
    """Steps of plain language modelling on the corpus."""
    pretraining_batch_size: int = Field(8, ge=1)
    pretraining_length: int = Field(256, ge=16)
    """Tokens in each pretraining sequence."""
    pretraining_learning_rate: float = Field(2e-3, gt=0)


BaseModelSettings = Annotated[PretrainedModel | ScratchModel, Field(discriminator="source")]


# ---------------------------------------------------------------------------------------------------------- embedder


class SentenceTransformersEmbedder(Section):
    engine: Literal["sentence_transformers"] = "sentence_transformers"
    name_or_path: str = "BAAI/bge-small-en-v1.5"
    """A hub name, a local folder, or ``package:MODULE/FOLDER`` for a model that ships inside a Python package."""
    query_prompt: str = "Represent this sentence for searching relevant passages: "
    """Put before a question, never before a passage (bge was trained so)."""


# ------------------------------------------------------------------------------------------------------------- chunk


class StructuralSegmentation(Section):
    """Sections and blocks alone decide where a chunk may end."""

    method: Literal["structural"] = "structural"


class SemanticSegmentation(Section):
    """Inside a section a chunk ends where the similarity of neighbouring sentences drops."""

    method: Literal["semantic"]
    embedder: SentenceTransformersEmbedder = SentenceTransformersEmbedder()
    window: int = Field(2, ge=1)
    """Sentences on each side of a border that are compared."""
    depth: float = Field(1.0, ge=0)
    """Standard deviations by which a drop must exceed the section's mean drop."""


SegmentationSettings = Annotated[StructuralSegmentation | SemanticSegmentation, Field(discriminator="method")]


class ChunkCompute(Section):
    """Where papers are cut."""

    num_workers: int = Field(2, ge=1)
    """Most tasks at once."""
    cpus_per_worker: float = Field(0.5, gt=0)


class ChunkSettings(Section):
    papers: str = "papers"
    """Folder (or URI) that is searched for papers, sub-folders included."""
    max_tokens: int = Field(384, ge=32)
    """Budget of one chunk and its prefix in tokens of the base model's tokenizer; never exceeded."""
    overlap_tokens: int = Field(48, ge=0)
    """Sentences repeated from the end of the chunk before, up to this many tokens."""
    min_tokens: int = Field(16, ge=1)
    """Shorter chunks are rejected as ``too_short``, unless they are atomic (table, code, math, caption, footnote)."""
    segmentation: SegmentationSettings = StructuralSegmentation()
    near_duplicate_similarity: float = Field(0.65, gt=0, le=1)
    """Of two papers that share at least this share of their phrases, the shorter one is left out."""
    boilerplate_papers: int = Field(3, ge=0)
    """A paragraph or list that stands in at least this many papers is left out of all of them; 0 keeps every one."""
    compute: ChunkCompute = ChunkCompute()

    @model_validator(mode="after")
    def _boilerplate_is_shared(self) -> ChunkSettings:
        if self.boilerplate_papers == 1:
            raise ValueError("boilerplate_papers=1 would leave out every paragraph; give 0 or at least 2")
        return self

    @model_validator(mode="after")
    def _overlap_below_budget(self) -> ChunkSettings:
        if self.overlap_tokens * 2 > self.max_tokens:
            raise ValueError(
                f"overlap_tokens={self.overlap_tokens} must be at most half of max_tokens={self.max_tokens}"
            )
        return self


# ------------------------------------------------------------------------------------------------------- generate-qa


class TemplateTeacher(Section):
    """The rule-based, seeded teacher: needs no model; its answers are the paper's own sentences."""

    engine: Literal["template"] = "template"
    questions_per_chunk: int = Field(8, ge=1)
    """Most questions proposed from one chunk."""


class SplitFractions(Section):
    """Shares of the papers; none is empty, as training, the parity check and the evaluation each need one."""

    train: float = Field(0.8, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, gt=0, lt=1)

    @model_validator(mode="after")
    def _sum_to_one(self) -> SplitFractions:
        total = self.train + self.validation + self.test
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"train + validation + test must be 1, not {total:g}")
        return self


class GenerateQASettings(Section):
    teacher: TemplateTeacher = TemplateTeacher()
    question_types: tuple[QuestionType, ...] = ("factual", "analytical", "comparative", "hypothetical")
    rows: int = Field(2500, ge=1)
    """Most accepted rows to keep, over all types."""
    min_rows: int = Field(20, ge=1)
    """Fewer accepted rows than this fail the stage, with the reasons."""
    max_answer_chars: int = Field(600, ge=40)
    min_density: Fraction = 0.35
    """No question is made from a chunk of lower information density: it says too little to be asked about."""
    splits: SplitFractions = SplitFractions()
    compute: DataCompute = DataCompute(batch_size=64)


# ------------------------------------------------------------------------------------------------- index, retrieval


class IndexSettings(Section):
    embedder: SentenceTransformersEmbedder = SentenceTransformersEmbedder()
    factory: str = "Flat"
    """A faiss ``index_factory`` string; inner product on unit vectors, that is cosine similarity."""
    compute: DataCompute = DataCompute(num_workers=1, cpus_per_worker=1.0, batch_size=64)


class RetrievalSettings(Section):
    top_k: int = Field(3, ge=1)
    """Passages that reach the prompt."""
    candidates: int = Field(12, ge=1)
    """Passages fetched from the index before ranking."""
    density_weight: Fraction = 0.02
    """Share of information density in the ranking score; the rest is cosine similarity. As small as this, it decides
    between passages that are almost equally similar; larger shares lost recall (`python -m benchmarks.density`)."""
    max_per_document: int = Field(3, ge=1)
    """Most passages of one paper among the ``top_k``."""
    context_tokens: int = Field(1200, ge=32)
    """Prompt budget for passages; lower-ranked passages are dropped first."""

    @model_validator(mode="after")
    def _candidates_cover_top_k(self) -> RetrievalSettings:
        if self.candidates < self.top_k:
            raise ValueError(f"candidates={self.candidates} must be at least top_k={self.top_k}")
        return self


# ---------------------------------------------------------------------------------------------------------- finetune


class QuantizedLoading(Section):
    """Keys of transformers' BitsAndBytesConfig."""

    load_in_4bit: bool = True
    bnb_4bit_quant_type: Literal["nf4", "fp4"] = "nf4"
    bnb_4bit_use_double_quant: bool = True
    bnb_4bit_compute_dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """``auto``: bfloat16 where the GPU has it, float16 on other GPUs, float32 on a CPU."""


class LoraSettings(Section):
    """Keys of peft's LoraConfig."""

    r: int = Field(16, ge=1)
    lora_alpha: int = Field(32, ge=1)
    lora_dropout: Fraction = 0.05
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")


class TrainCompute(Section):
    """Where training runs. The rows of each optimisation step are the same for any number of workers."""

    num_workers: int = Field(1, ge=1)
    use_gpu: bool = True
    cpus_per_worker: float = Field(1.0, gt=0)
    per_device_train_batch_size: int = Field(4, ge=1)
    per_device_eval_batch_size: int = Field(4, ge=1)
    strategy: Literal["ddp", "deepspeed_zero2"] = "ddp"
    max_failures: int = Field(2, ge=0)
    """Lost workers that are replaced before the run gives up."""


class FinetuneSettings(Section):
    quantization: QuantizedLoading = QuantizedLoading()
    lora: LoraSettings = LoraSettings()
    learning_rate: float = Field(2e-4, gt=0)
    lr_scheduler_type: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_steps: int = Field(30, ge=0)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    train_batch_size: int = Field(16, ge=1)
    """Rows in one optimisation step over all workers (4 a device x 4 accumulations on one GPU)."""
    max_steps: int = Field(1000, ge=1)
    eval_steps: int = Field(200, ge=1)
    """An evaluation and a checkpoint every this many steps."""
    max_length: int = Field(2048, ge=64)
    """Tokens of prompt and answer; longer rows are rejected and counted."""
    context_fraction: Fraction = 0.5
    """Share of rows that are trained with their passages in the prompt; the others without."""
    gradient_checkpointing: bool = True
    report_to: tuple[Literal["wandb", "tensorboard"], ...] = ()
    compute: TrainCompute = TrainCompute()

    @property
    def gradient_accumulation_steps(self) -> int:
        """Micro-batches of each worker in one optimisation step."""
        return self.train_batch_size // (self.compute.per_device_train_batch_size * self.compute.num_workers)

    @model_validator(mode="after")
    def _batch_divides(self) -> FinetuneSettings:
        micro = self.compute.per_device_train_batch_size * self.compute.num_workers
        if self.train_batch_size % micro:
            raise ValueError(
                f"train_batch_size={self.train_batch_size} must be a multiple of"
                f" per_device_train_batch_size x num_workers"
                f" = {self.compute.per_device_train_batch_size} x {self.compute.num_workers} = {micro}"
            )
        return self


# -------------------------------------------------------------------------------------------------------------- tune


class SearchDimension(Section):
    """One axis of the search space, in Ray Tune's vocabulary."""

    distribution: Literal["uniform", "loguniform", "choice"]
    low: float | None = None
    high: float | None = None
    values: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _has_its_values(self) -> SearchDimension:
        if self.distribution == "choice":
            if not self.values:
                raise ValueError("choice needs values: [...]")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise ValueError(f"{self.distribution} needs low < high")
        elif self.distribution == "loguniform" and self.low <= 0:
            raise ValueError("loguniform needs low > 0")
        return self


class TuneCompute(Section):
    max_concurrent_trials: int = Field(1, ge=1)


class TuneSettings(Section):
    num_samples: int = Field(8, ge=1)
    """Trials."""
    max_steps: int = Field(200, ge=2)
    """Optimisation steps of a trial that is never stopped early."""
    eval_steps: int = Field(50, ge=1)
    """Steps between two reports to the scheduler."""
    grace_period: int = Field(1, ge=1)
    """Reports before ASHA may stop a trial."""
    reduction_factor: float = Field(3, gt=1)
    search_space: dict[str, SearchDimension] = {
        "finetune.learning_rate": SearchDimension(distribution="loguniform", low=5e-5, high=1e-3),
        "finetune.lora.r": SearchDimension(distribution="choice", values=(8, 16, 32)),
    }
    """Dotted config keys to search over."""
    compute: TuneCompute = TuneCompute()


# ----------------------------------------------------------------------------------------------------------- convert


class ParityLimits(Section):
    """What the converted files may differ by before the stage fails."""

    tokenizer_strings: int = Field(2000, ge=10)
    """Strings whose token ids must be equal in both tokenizers."""
    max_logit_difference: float = Field(0.05, gt=0)
    """F16 GGUF against the merged model, largest absolute difference."""
    min_argmax_agreement: Fraction = 0.99
    """F16 GGUF against the merged model, share of positions with the same first choice."""
    max_mean_kld: float = Field(0.2, gt=0)
    """Quantised against F16 GGUF, mean Kullback-Leibler divergence in nats per token."""


class ConvertCompute(Section):
    num_cpus: float = Field(1.0, gt=0)
    num_gpus: float = Field(0.0, ge=0)
    n_threads: int = Field(2, ge=1)


class ConvertSettings(Section):
    quantization: Literal["Q4_K_M", "Q4_K_S", "IQ4_XS", "Q5_K_M", "Q6_K", "Q8_0"] = "Q4_K_M"
    calibration_rows: int = Field(64, ge=1)
    """Training rows and chunks, in the served chat template, that the importance matrix is computed on."""
    calibration_length: int = Field(512, ge=32)
    """Tokens in each calibration sequence."""
    parity: ParityLimits = ParityLimits()
    compute: ConvertCompute = ConvertCompute()


# -------------------------------------------------------------------------------------------------- generation, eval


class GenerationCompute(Section):
    n_threads: int = Field(2, ge=1)
    n_gpu_layers: int = 0
    """Layers offloaded to a GPU; -1 is all."""
    n_batch: int = Field(512, ge=32)
    """Most tokens in one decode call."""


class GenerationSettings(Section):
    n_ctx: int = Field(2048, ge=256)
    """Context of one request in tokens, prompt and answer together."""
    max_tokens: int = Field(160, ge=1)
    """Most tokens of an answer unless the request says otherwise."""
    n_seq_max: int = Field(8, ge=1, le=64)
    """Requests decoded together by one engine."""
    temperature: float = Field(0.0, ge=0)
    compute: GenerationCompute = GenerationCompute()


class EvalCompute(Section):
    num_cpus: float = Field(1.0, gt=0)
    num_gpus: float = Field(0.0, ge=0)


class EvalSettings(Section):
    modes: tuple[Literal["standalone", "rag"], ...] = ("standalone", "rag")
    max_rows: int | None = Field(None, ge=1)
    """Most test rows, taken evenly over papers; all of them when empty."""
    bootstrap_samples: int = Field(1000, ge=100)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    compute: EvalCompute = EvalCompute()


# ------------------------------------------------------------------------------------------------------------- serve


class AutoscalingSettings(Section):
    """Keys of Ray Serve's AutoscalingConfig."""

    min_replicas: int = Field(1, ge=0)
    max_replicas: int = Field(1, ge=1)
    target_ongoing_requests: float = Field(8, gt=0)
    upscale_delay_s: float = Field(10, ge=0)
    downscale_delay_s: float = Field(120, ge=0)


class DeploymentSettings(Section):
    """Keys of ``@serve.deployment``."""

    num_cpus: float = Field(0.5, ge=0)
    num_gpus: float = Field(0.0, ge=0)
    max_ongoing_requests: int = Field(16, ge=1)
    max_queued_requests: int = Field(64, ge=-1)
    autoscaling_config: AutoscalingSettings = AutoscalingSettings()


class ServeSettings(Section):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    model_name: str = "lectern"
    """Name of the standalone model in the API; ``<name>-rag`` answers with retrieval."""
    ingress: DeploymentSettings = DeploymentSettings(num_cpus=0.2, max_ongoing_requests=64)
    retriever: DeploymentSettings = DeploymentSettings(num_cpus=0.4, max_ongoing_requests=32)
    generator: DeploymentSettings = DeploymentSettings(num_cpus=1.0)


# -------------------------------------------------------------------------------------------------------------- root


class LecternConfig(Section):
    """Everything a run depends on."""

    run: RunSettings = RunSettings()
    base_model: BaseModelSettings = PretrainedModel()
    chunk: ChunkSettings = ChunkSettings()
    generate_qa: GenerateQASettings = GenerateQASettings()
    index: IndexSettings = IndexSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    tune: TuneSettings = TuneSettings()
    convert: ConvertSettings = ConvertSettings()
    generation: GenerationSettings = GenerationSettings()
    eval: EvalSettings = EvalSettings()
    serve: ServeSettings = ServeSettings()
