#include "base/atomic_file.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/session.h"
#include "recipes/front_door.h"

namespace fettle::cli {

namespace {

Outcome doctor(Session& session)
{
    const auto device = recipes::deviceReport();
    const auto folder = session.folder();
    std::error_code ec;
    const bool exists = std::filesystem::exists(folder / "workspace.db", ec);
    const auto free = freeBytes(folder);
    if (session.json) {
        OrderedJson json = recipes::toJson(device);
        json["workspace"] = {{"folder", folder.string()}, {"exists", exists}, {"freeBytes", free}};
        json["resources"] = recipes::resourceFolder().string();
        printJson(json);
        return kDone;
    }
    Table table({{"", false}, {"", false}});
    const auto row = [&](const std::string& name, const std::string& value) {
        table.add({name, value});
    };
    row("Processor", fmt::format("{}, {}, {} kernels", device.cpuName,
                                 counted(device.cores, "core"), device.kernels));
    row("Memory", fmt::format("{}, {} free", humanBytes(device.memoryBytes),
                              humanBytes(device.memoryAvailable)));
    row("Graphics card", device.cudaUsable ? fmt::format("{}, {} free", device.cudaName, humanBytes(device.cudaMemoryAvailable))
                                           : "not used: " + device.cudaMissing);
    if (!device.cudaUsable && !device.cudaRemedy.empty())
        row("", device.cudaRemedy);
    row("LibTorch", device.libtorchVersion);
    row("Workspace", fmt::format("{}{}, {} free on its disk", folder.string(),
                                 exists ? "" : " (not made yet)", humanBytes(free)));
    row("Recipes and samples", recipes::resourceFolder().string());
    const std::string text = table.text();
    print(text.substr(text.find('\n') + 1));
    printLine("\n" + device.sentence);
    return kDone;
}

} // namespace

void addDoctor(CLI::App& app, Session& session)
{
    addCommand(app, session, "doctor",
               "Says what this machine has, what is missing, and how to get it",
               [&session] { return doctor(session); });
}

} // namespace fettle::cli
