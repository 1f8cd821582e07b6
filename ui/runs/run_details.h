#pragma once

#include "store/workspace.h"
#include "ui/plots/plot_data.h"

namespace fettle::ui {

/// What is drawn of a run, read from the store: live view and history are the same.
struct RunDetails
{
    store::RunRecord record;
    std::vector<PlotPoint> loss, rate, norm, speed;
    std::vector<CheckValue> checks;
    std::vector<jobs::SampleDone> samples;
    std::vector<store::CheckpointRecord> savePoints;
    QString log;
};

/// Reads a run's details. Blocks: pool threads only.
RunDetails readRun(store::Workspace& workspace, const store::RunRecord& record, bool withLog);

PlotPoint pointOf(const jobs::StepDone& step, double value);
CheckValue checkOf(const jobs::EvalDone& check);

QString statusWords(store::RunStatus status);
QString statusIcon(store::RunStatus status);
/// "LoRA · letters · SmolLM2".
QString runLine(const store::RunRecord& record);
QString runTitle(const store::RunRecord& record);
/// One line of the log: what happened, in words.
QString logLine(const jobs::Event& event);

} // namespace fettle::ui
