#include "recipes/front_door.h"
#include "recipes/memory.h"
#include "tensor/device.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/parallel.h"
#include "tensor/torch_pch.h"

#include "base/log.h"
#include "base/text.h"

#include <ATen/Version.h>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <torch/version.h>

namespace fettle::recipes {

namespace {

/// The value behind `key` in a "key : value" file of the kernel.
std::string kernelValue(const char* file, const std::string& key)
{
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(key) && line.find(':') != std::string::npos)
            return trimmed(line.substr(line.find(':') + 1));
    }
    return {};
}

std::uint64_t kernelBytes(const std::string& key)
{
    return std::strtoull(kernelValue("/proc/meminfo", key).c_str(), nullptr, 10) * 1024;
}

} // namespace

DeviceReport deviceReport()
{
    DeviceReport report;
    report.cpuName = kernelValue("/proc/cpuinfo", "model name");
    report.kernels = tensor::cpuKernels().name;
    report.cores = tensor::availableCores();
    report.memoryBytes = kernelBytes("MemTotal");
    report.memoryAvailable = kernelBytes("MemAvailable");
    report.libtorchVersion = TORCH_VERSION;
    const auto& cuda = tensor::loadCuda();
    report.cudaUsable = cuda.usable;
    report.cudaName = cuda.name;
    const auto card = tensor::cudaMemory();
    report.cudaMemoryBytes = card.whole;
    report.cudaMemoryAvailable = card.available;
    report.cudaMissing = cuda.missing;
    report.cudaRemedy = cuda.remedy;
    report.sentence = cuda.usable
                          ? fmt::format("Graphics card ready: {}.", cuda.name)
                          : fmt::format("Trains on the processor: {} cores, {} of memory ({} free).", report.cores,
                                        humanBytes(report.memoryBytes), humanBytes(report.memoryAvailable));
    return report;
}

Json toJson(const DeviceReport& r)
{
    return {{"cpu", {{"name", r.cpuName}, {"cores", r.cores}, {"kernels", r.kernels}}},
            {"memory", {{"bytes", r.memoryBytes}, {"available", r.memoryAvailable}}},
            {"cuda", {{"usable", r.cudaUsable}, {"name", r.cudaName}, {"missing", r.cudaMissing}, {"remedy", r.cudaRemedy},
                      {"bytes", r.cudaMemoryBytes}, {"available", r.cudaMemoryAvailable}}},
            {"libtorch", r.libtorchVersion},
            {"sentence", r.sentence}};
}

Room roomFor(const ParamValues& settings)
{
    const auto report = deviceReport();
    const bool onCard = report.cudaUsable && settings.text("training.device") != "cpu";
    return {onCard, onCard ? report.cudaMemoryAvailable : report.memoryAvailable};
}

void prepareWorkerThread()
{
    tensor::loadCuda();
    const int cores = tensor::availableCores();
    int threads = cores >= 4 ? cores - 1 : cores;
    if (!tensor::useComputeThreads(threads)) {
        logWarning("recipes", "there is no room for {} threads; one computes", threads);
        threads = 1;
        tensor::useComputeThreads(threads);
    }
    tensor::parallelTasks(threads, [](std::int64_t) {}); // starts those of OpenMP while there is room
}

} // namespace fettle::recipes
