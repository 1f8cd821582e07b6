#include "base/text.h"
#include "cli/output.h"
#include "cli/records.h"
#include "cli/session.h"
#include "report/axis.h"
#include "report/curve_image.h"

#include <cmath>
#include <map>

namespace fettle::cli {

namespace {

constexpr const char* kMetrics[] = {"loss", "learningRate", "gradNorm", "tokensPerSecond"};

struct CurvesOptions
{
    std::string run;
    bool csv = false;
};

struct PlotOptions
{
    std::vector<std::string> runs;
    std::string to, title, xAxis = "step";
    double halfLife = 20;
};

Outcome listRuns(Session& session)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto runs = (*workspace)->runs();
    if (session.json) {
        OrderedJson list = OrderedJson::array();
        for (const auto& run : runs)
            list.push_back(toJson(run));
        printJson({{"runs", list}});
        return kDone;
    }
    if (runs.empty()) {
        say("No run yet. Start one with: fettle-cli train --model M --data D");
        return kDone;
    }
    Table table({{"run", true},
                 {"name"},
                 {"state"},
                 {"model"},
                 {"data"},
                 {"step", true},
                 {"loss", true},
                 {"lowest check", true},
                 {"started"}});
    for (const auto& run : runs) {
        table.add({std::to_string(run.number), run.name, store::toString(run.status), run.model,
                   run.dataset, fmt::format("{}/{}", run.step, run.totalSteps),
                   run.loss ? report::shortNumber(*run.loss) : "",
                   run.bestEvalLoss ? report::shortNumber(*run.bestEvalLoss) : "",
                   shortTime(run.createdAt)});
    }
    print(table.text());
    return kDone;
}

double numberAt(const Json& json, const char* place, const char* key)
{
    const auto found = json.find(place);
    if (found == json.end() || !found->is_object() || !found->contains(key) ||
        !(*found)[key].is_number())
        return NAN;
    return (*found)[key].get<double>();
}

/// What was forecast beside what it took; empty where the run has not been measured.
std::string forecastWords(const store::RunRecord& run)
{
    const double peak = numberAt(run.extra, "measured", "peakBytes");
    if (std::isnan(peak))
        return {};
    const auto bytes = [](double count) {
        return std::isnan(count) ? std::string("unknown")
                                 : humanBytes(static_cast<std::uint64_t>(count));
    };
    const auto time = [](double seconds) {
        return std::isnan(seconds) ? std::string("unknown") : humanDuration(seconds);
    };
    return fmt::format(
        "  memory  {} forecast, {} at the peak\n"
        "  time    {} forecast, {} after the first step, {} taken (steps {} to {})\n",
        bytes(numberAt(run.extra, "forecast", "memoryBytes")), bytes(peak),
        time(numberAt(run.extra, "forecast", "seconds")),
        time(numberAt(run.extra, "measured", "secondsAfterOneStep")),
        time(numberAt(run.extra, "measured", "seconds")),
        grouped(std::llround(numberAt(run.extra, "measured", "fromStep")) + 1),
        grouped(std::llround(numberAt(run.extra, "measured", "toStep"))));
}

Outcome showRun(Session& session, const std::string& which)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto run = (*workspace)->run(which);
    if (!run)
        return run.error();
    const auto checkpoints = (*workspace)->checkpoints(run->id);
    const auto samples = (*workspace)->samples(run->id);
    if (session.json) {
        OrderedJson json = toJson(*run);
        json["folder"] = (*workspace)->runFolder(run->id).string();
        json["checkpoints"] = OrderedJson::array();
        for (const auto& point : checkpoints)
            json["checkpoints"].push_back(
                {{"step", point.step}, {"folder", point.folder}, {"best", point.best}});
        json["samples"] = OrderedJson::array();
        for (const auto& sample : samples)
            json["samples"].push_back(
                {{"step", sample.step}, {"prompt", sample.prompt}, {"answer", sample.answer}});
        printJson(json);
        return kDone;
    }
    printLine(fmt::format("Run {} · {} · {} · step {} of {}", run->number, run->name,
                          store::toString(run->status), grouped(run->step),
                          grouped(run->totalSteps)));
    printLine(fmt::format("  model   {}\n  data    {} version {}\n  seed    {}\n  folder  {}",
                          run->model, run->dataset, run->datasetVersion, run->seed,
                          (*workspace)->runFolder(run->id).string()));
    print(forecastWords(*run));
    if (!run->message.empty())
        printLine("  note    " + run->message);
    for (const auto& point : checkpoints)
        printLine(fmt::format("  save point at step {}{}", grouped(point.step),
                              point.best ? " (lowest check)" : ""));
    for (const auto& sample : samples)
        printLine(fmt::format("\nstep {}, question {}: {}", grouped(sample.step), sample.prompt + 1,
                              sample.answer));
    return kDone;
}

/// Raw points of all metrics by step; nothing is thinned or smoothed.
std::string curvesCsv(const store::Workspace& workspace, const std::string& run)
{
    struct Row
    {
        double tokens = NAN, seconds = NAN;
        std::map<std::string, double> values;
    };
    std::map<std::int64_t, Row> rows;
    for (const char* name : kMetrics) {
        for (const auto& point : workspace.metric(run, name)) {
            auto& row = rows[point.step];
            row.tokens = point.tokens;
            row.seconds = point.seconds;
            row.values[name] = point.value;
        }
    }
    for (const auto& check : workspace.evaluations(run)) {
        auto& row = rows[check.step];
        if (std::isnan(row.seconds))
            row.seconds = check.seconds;
        row.values["evalLoss"] = check.loss;
        row.values["evalLow"] = check.low;
        row.values["evalHigh"] = check.high;
    }
    const auto number = [](double value) {
        return std::isfinite(value) ? fmt::format("{}", value) : std::string();
    };
    std::string out = "step,tokens,seconds,loss,learningRate,gradNorm,tokensPerSecond,evalLoss,"
                      "evalLow,evalHigh\n";
    for (const auto& [step, row] : rows) {
        out += fmt::format("{},{},{}", step, number(row.tokens), number(row.seconds));
        for (const char* name : {"loss", "learningRate", "gradNorm", "tokensPerSecond", "evalLoss",
                                 "evalLow", "evalHigh"}) {
            const auto found = row.values.find(name);
            out += "," + (found == row.values.end() ? std::string() : number(found->second));
        }
        out += "\n";
    }
    return out;
}

OrderedJson curvesJson(const store::Workspace& workspace, const std::string& run)
{
    OrderedJson json = {{"run", run}};
    for (const char* name : kMetrics) {
        json[name] = OrderedJson::array();
        for (const auto& point : workspace.metric(run, name))
            json[name].push_back({{"step", point.step},
                                  {"value", finite(point.value)},
                                  {"tokens", point.tokens},
                                  {"seconds", point.seconds}});
    }
    json["checks"] = OrderedJson::array();
    for (const auto& check : workspace.evaluations(run))
        json["checks"].push_back({{"step", check.step},
                                  {"loss", finite(check.loss)},
                                  {"low", finite(check.low)},
                                  {"high", finite(check.high)},
                                  {"rows", check.rows},
                                  {"best", check.best},
                                  {"seconds", check.seconds}});
    return json;
}

Outcome showCurves(Session& session, const CurvesOptions& options)
{
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    const auto run = (*workspace)->run(options.run);
    if (!run)
        return run.error();
    if (options.csv) {
        print(curvesCsv(**workspace, run->id));
        return kDone;
    }
    if (session.json) {
        printJson(curvesJson(**workspace, run->id));
        return kDone;
    }
    Table table({{"step", true},
                 {"loss on checking rows", true},
                 {"95 % range", true},
                 {"rows", true},
                 {""}});
    for (const auto& check : (*workspace)->evaluations(run->id))
        table.add({grouped(check.step), report::shortNumber(check.loss),
                   fmt::format("{} to {}", report::shortNumber(check.low),
                               report::shortNumber(check.high)),
                   grouped(check.rows), check.best ? "lowest so far" : ""});
    print(table.text());
    say("All points of all curves: --csv or --json.");
    return kDone;
}

Outcome plot(Session& session, const PlotOptions& options)
{
    const auto xAxis = report::xAxisFrom(options.xAxis);
    if (!xAxis)
        return at(xAxis.error(), "--x");
    const auto workspace = session.workspace();
    if (!workspace)
        return workspace.error();
    std::vector<report::CurveSeries> series;
    report::CurveOptions how;
    for (const auto& name : options.runs) {
        auto loaded = report::loadCurve(**workspace, name);
        if (!loaded)
            return loaded.error();
        series.push_back(std::move(*loaded));
    }
    if (const auto first = (*workspace)->run(options.runs.front());
        first && options.runs.size() == 1)
        how.subtitle = fmt::format("{} on {}", first->model, first->dataset);
    how.title = !options.title.empty()    ? options.title
                : options.runs.size() > 1 ? fmt::format("Loss of {} runs", options.runs.size())
                                          : "Loss of " + series.front().name;
    how.halfLife = options.halfLife;
    how.xAxis = *xAxis;
    if (auto written = report::writeCurveImage(series, how, options.to); !written)
        return written.error();
    if (session.json)
        printJson({{"file", options.to}, {"runs", options.runs}});
    else
        printLine(options.to);
    return kDone;
}

} // namespace

void addRuns(CLI::App& app, Session& session)
{
    auto* group = app.add_subcommand("runs", "Runs of the workspace");
    group->require_subcommand(1);
    addCommand(*group, session, "list", "Lists the runs, newest first",
               [&session] { return listRuns(session); });

    const auto which = std::make_shared<std::string>();
    addCommand(*group, session, "show", "Shows one run",
               [&session, which] { return showRun(session, *which); })
        ->add_option("run", *which, "Run: number, id, name, or last")
        ->required();

    const auto curves = std::make_shared<CurvesOptions>();
    auto* command = addCommand(*group, session, "curves", "Prints the points of a run's curves",
                               [&session, curves] { return showCurves(session, *curves); });
    command->add_option("run", curves->run, "Run: number, id, name, or last")->required();
    command->add_flag("--csv", curves->csv, "All raw points as CSV");

    const auto plotting = std::make_shared<PlotOptions>();
    auto* plotCommand = addCommand(app, session, "plot", "Draws the curves of one or several runs",
                                   [&session, plotting] { return plot(session, *plotting); });
    plotCommand->add_option("runs", plotting->runs, "Runs: number, id, name, or last")->required();
    plotCommand->add_option("--to", plotting->to, "Picture to write; .png, .pdf or .svg")
        ->required();
    plotCommand->add_option("--title", plotting->title, "Heading of the picture");
    plotCommand->add_option("--x", plotting->xAxis, "Along the bottom: step, tokens or time")
        ->capture_default_str();
    plotCommand
        ->add_option("--half-life", plotting->halfLife,
                     "Steps after which a point counts half; 0: not smoothed")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 100'000.0));
}

} // namespace fettle::cli
