// One kernel on fixed numbers, so often: kernel_counts KERNEL TIMES. kernel_counts.py runs it under callgrind and compares the
// number of instructions with what is kept.

#include "tensor/kernels/cpu_kernels.h"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

using namespace fettle::tensor;

namespace {

using Floats = std::vector<float>;

/// Numbers between -1 and 1 that repeat after a thousand.
Floats numbers(std::size_t count)
{
    Floats out(count);
    for (std::size_t i = 0; i < count; ++i)
        out[i] = static_cast<float>((i * 7919) % 1000) / 500.0F - 1.0F;
    return out;
}

/// Rows of a layer of the starter model.
constexpr std::int64_t kRows = 8, kDim = 576, kMlp = 1536, kHead = 64, kLength = 96, kVocab = 4096;

Floats g_x = numbers(kRows * kMlp), g_y = numbers(kRows * kMlp), g_z = numbers(kRows * kMlp),
       g_w = numbers(kDim * kDim);

AttentionHead head(Floats& out, Floats& lse)
{
    return {g_x.data(), g_y.data(), g_z.data(), out.data(), lse.data(), kHead, kHead, kHead, kLength, kLength, kHead, 1, 0, 0.125F};
}

const std::map<std::string, std::function<void(const CpuKernels&)>> kWork = {
    {"norm",
     [](const CpuKernels& k) {
         const NormWeights norm{g_w.data(), nullptr, kDim, 1e-5F, 0, false};
         k.norm(norm, g_x.data(), g_y.data(), kRows);
     }},
    {"normBackward",
     [](const CpuKernels& k) {
         const NormWeights norm{g_w.data(), nullptr, kDim, 1e-5F, 0, false};
         k.normBackward(norm, g_x.data(), g_y.data(), g_z.data(), nullptr, nullptr, kRows);
     }},
    {"rope",
     [](const CpuKernels& k) {
         k.rope(g_x.data(), g_y.data(), g_w.data(), g_w.data() + kRows * kHead / 2, {kRows, kDim / kHead, kDim, kHead, kHead}, 1);
     }},
    {"activate",
     [](const CpuKernels& k) { k.activate(Activation::Silu, g_x.data(), g_y.data(), g_z.data(), kRows * kMlp); }},
    {"activateBackward",
     [](const CpuKernels& k) {
         Floats gate = g_x, up = g_y;
         k.activateBackward(Activation::Silu, g_z.data(), gate.data(), up.data(), gate.data(), up.data(), nullptr, kRows * kMlp);
     }},
    {"lossRow",
     [](const CpuKernels& k) {
         Floats logits(g_x.begin(), g_x.begin() + kVocab);
         std::int64_t best = 0;
         k.lossRow(logits.data(), kVocab, 7, 0.5F, &best);
     }},
    {"adamw",
     [](const CpuKernels& k) {
         Floats p = g_x, m(g_x.size()), v(g_x.size());
         k.adamw(p.data(), g_y.data(), m.data(), v.data(), kRows * kMlp, {1e-3F, 0.9F, 0.999F, 1e-8F, 0.01F, 0.1F, 0.03F, 1});
     }},
    {"gemm",
     [](const CpuKernels& k) {
         Floats panels(static_cast<std::size_t>(kDim) * kDim);
         k.packPanels(g_w.data(), 1, kDim, kDim, kDim, 1, panels.data(), kDim * kPanel);
         const GemmPart part{g_x.data(), kDim, 1, panels.data(), kDim * kPanel, kDim};
         k.gemm(&part, 1, kRows, kDim, g_y.data(), kDim, false);
     }},
    {"fewRows",
     [](const CpuKernels& k) { k.fewRows(g_x.data(), g_w.data(), g_y.data(), 1, kDim, kDim, kDim); }},
    {"attention",
     [](const CpuKernels& k) {
         Floats out(kLength * kHead), lse(kLength);
         const auto own = head(out, lse);
         Floats scratch(static_cast<std::size_t>(k.attentionScratch(own, 0)));
         k.attention(own, {}, scratch.data());
     }},
    {"attentionBackward",
     [](const CpuKernels& k) {
         Floats out(kLength * kHead), lse(kLength, 3.0F), dq(kLength * kHead), dk(kLength * kHead), dv(kLength * kHead);
         const auto own = head(out, lse);
         Floats scratch(static_cast<std::size_t>(k.attentionScratch(own, 0)));
         k.attentionBackward(own, {g_w.data(), dq.data(), dk.data(), dv.data()}, scratch.data());
     }},
};

} // namespace

int main(int count, char** arguments)
{
    if (count == 2 && std::string(arguments[1]) == "--list") {
        for (const auto& [name, work] : kWork)
            std::puts(name.c_str());
        return 0;
    }
    const auto found = count == 3 ? kWork.find(arguments[1]) : kWork.end();
    if (found == kWork.end()) {
        std::fprintf(stderr, "usage: kernel_counts --list | KERNEL TIMES\n");
        return 2;
    }
    for (int i = std::atoi(arguments[2]); i > 0; --i)
        found->second(cpuKernels());
    return 0;
}
