"""One frozen model per stage; a run is described by these values and nothing else.

Every section is a *what*; its ``compute`` block is a *where* (workers, GPUs, batch sizes) and never changes a result's
identity. Keys that are handed to a library keep that library's spelling (``lora_alpha``, ``bnb_4bit_quant_type``,
``target_ongoing_requests``, ``n_ctx``).
"""

from __future__ import annotations

from qa_core.config.base_model import BaseModelSettings, PretrainedModel, ScratchModel
from qa_core.config.corpus import ChunkCompute, ChunkSettings, SemanticSegmentation, StructuralSegmentation
from qa_core.config.dataset import (
    ContextSettings,
    GenerateQASettings,
    JudgeSettings,
    QuestionType,
    Quotas,
    SplitFractions,
)
from qa_core.config.embedding import SentenceTransformersEmbedder
from qa_core.config.evaluation import SERVED, EvalCompute, EvalSettings
from qa_core.config.generation import GenerationCompute, GenerationSettings
from qa_core.config.quantization import ConvertCompute, ConvertSettings, ParityLimits, Rounding
from qa_core.config.retrieval import IndexSettings, RetrievalSettings
from qa_core.config.run import RunSettings
from qa_core.config.section import DataCompute, Fraction, Section
from qa_core.config.serving import AutoscalingSettings, DeploymentSettings, ServeSettings
from qa_core.config.teachers import (
    EndpointCompute,
    EndpointTeacher,
    LanguageModelSettings,
    Price,
    TeacherSettings,
    TemplateTeacher,
    VllmCompute,
    VllmTeacher,
)
from qa_core.config.training import (
    FinetuneSettings,
    LoraSettings,
    QuantizedLoading,
    SearchDimension,
    TrainCompute,
    TuneSettings,
)

__all__ = [
    "SERVED",
    "AutoscalingSettings",
    "BaseModelSettings",
    "ChunkCompute",
    "ChunkSettings",
    "ContextSettings",
    "ConvertCompute",
    "ConvertSettings",
    "DataCompute",
    "DeploymentSettings",
    "EndpointCompute",
    "EndpointTeacher",
    "EvalCompute",
    "EvalSettings",
    "FinetuneSettings",
    "Fraction",
    "GenerateQASettings",
    "GenerationCompute",
    "GenerationSettings",
    "IndexSettings",
    "JudgeSettings",
    "LanguageModelSettings",
    "LecternConfig",
    "LoraSettings",
    "ParityLimits",
    "PretrainedModel",
    "Price",
    "QuantizedLoading",
    "QuestionType",
    "Quotas",
    "RetrievalSettings",
    "Rounding",
    "RunSettings",
    "ScratchModel",
    "SearchDimension",
    "Section",
    "SemanticSegmentation",
    "SentenceTransformersEmbedder",
    "ServeSettings",
    "SplitFractions",
    "StructuralSegmentation",
    "TeacherSettings",
    "TemplateTeacher",
    "TrainCompute",
    "TuneSettings",
    "VllmCompute",
    "VllmTeacher",
]


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
