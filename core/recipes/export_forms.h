#pragma once

#include "deploy/export.h"
#include "deploy/proof.h"
#include "jobs/job.h"
#include "recipes/front_door.h"
#include "recipes/loaded_model.h"

#include <optional>

namespace fettle::recipes {

/// What an export is made from. The model is in float32 on the processor.
struct ExportSource
{
    model::Model& inMemory;              ///< of a run: with what the run learned
    methods::Attached* attached;         ///< nullptr for a model as it is
    std::filesystem::path folder;        ///< of the base model
    std::string baseModel;               ///< name in the workspace
    std::optional<store::RunRecord> run; ///< nothing: the model as it is
    ExportPlan plan;                     ///< type and folder are settled: the default is filled in
    deploy::WrittenBytes written;        ///< call with what was written; its error ends the export
    std::string digest;                  ///< SHA-256 of a single file, from write() to readBack()
    std::vector<std::string> notes;      ///< of write(): what a person should know
};

/// A model that was built from what lies on the disk, and nothing else.
struct ReadBack
{
    std::unique_ptr<model::Model> onDisk;
    std::unique_ptr<methods::Attached> attached; ///< of forms that are not whole models
    std::int64_t weights = 0; ///< that were compared with those in memory
};

/// One row of the table: a form in which models leave.
struct ExportForm
{
    ExportFormInfo info;
    /// Writes the folder plan.folder, whole or not at all.
    Result<void> (*write)(ExportSource& source);
    /// Opens it again and compares its weights with those in memory: bit by bit, or with what
    /// rounding to the type may make of them.
    Result<ReadBack> (*readBack)(ExportSource& source);
};

/// The table, in the order that people see.
const std::vector<ExportForm>& exportForms();

/// The base from its folder with the run's method attached as it starts; the caller fills in what
/// it read from the disk.
Result<ReadBack> baseWithMethod(const ExportSource& source);
/// Errors: Internal when `file` is not what write() gave the digest of.
Result<void> checkDigest(const ExportSource& source, const std::filesystem::path& file);

// Rows of the table: one file each, export_<form>.cpp.
ExportForm peftForm();
ExportForm mergedForm();
ExportForm ggufForm();
ExportForm ggufLoraForm();
ExportForm ollamaForm();

} // namespace fettle::recipes
