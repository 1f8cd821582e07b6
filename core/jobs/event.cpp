#include "jobs/event.h"

#include <cmath>
#include <limits>

namespace fettle::jobs {

namespace {

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

double real(const Json& json, const char* key)
{
    const auto found = json.find(key);
    if (found == json.end() || found->is_null())
        return std::numeric_limits<double>::quiet_NaN();
    return found->get<double>();
}

Json json(const PhaseChanged& e)
{
    return {{"event", "phase"}, {"phase", e.phase}, {"fraction", number(e.fraction)}, {"detail", e.detail}};
}

Json json(const StepDone& e)
{
    return {{"event", "step"},
            {"step", e.step},
            {"totalSteps", e.totalSteps},
            {"epoch", number(e.epoch)},
            {"loss", number(e.loss)},
            {"learningRate", number(e.learningRate)},
            {"gradNorm", number(e.gradNorm)},
            {"tokensPerSecond", number(e.tokensPerSecond)},
            {"tokens", e.tokens},
            {"trainedTokens", e.trainedTokens},
            {"seconds", number(e.seconds)},
            {"time", e.time}};
}

Json json(const EvalDone& e)
{
    return {{"event", "eval"},
            {"step", e.step},
            {"loss", number(e.loss)},
            {"low", number(e.low)},
            {"high", number(e.high)},
            {"rows", e.rows},
            {"trainedTokens", e.trainedTokens},
            {"best", e.best},
            {"seconds", number(e.seconds)},
            {"time", e.time}};
}

Json json(const SampleDone& e)
{
    return {{"event", "sample"}, {"step", e.step}, {"prompt", e.prompt}, {"answer", e.answer}};
}

Json json(const CheckpointSaved& e)
{
    return {{"event", "checkpoint"}, {"step", e.step}, {"folder", e.folder}, {"best", e.best}};
}

Json json(const Resumed& e) { return {{"event", "resumed"}, {"step", e.step}}; }
Json json(const Warning& e) { return {{"event", "warning"}, {"code", e.code}, {"text", e.text}}; }
Json json(const TextPiece& e) { return {{"event", "piece"}, {"stream", e.stream}, {"text", e.text}}; }
Json json(const Finished& e) { return {{"event", "finished"}, {"result", e.result}}; }
Json json(const Stopped& e) { return {{"event", "stopped"}, {"result", e.result}}; }

Json json(const Failed& e)
{
    return {{"event", "failed"},
            {"code", toString(e.error.code)},
            {"what", e.error.what},
            {"where", e.error.where},
            {"remedy", e.error.remedy}};
}

ErrorCode codeOf(const std::string& name)
{
    for (const auto code : {ErrorCode::InvalidInput, ErrorCode::NotFound, ErrorCode::Io, ErrorCode::DiskFull,
                            ErrorCode::OutOfMemory, ErrorCode::Diverged, ErrorCode::Busy,
                            ErrorCode::Unsupported, ErrorCode::Cancelled}) {
        if (toString(code) == name)
            return code;
    }
    return ErrorCode::Internal;
}

StepDone stepFrom(const Json& j)
{
    return {j.at("step"),          j.at("totalSteps"),         real(j, "epoch"),
            real(j, "loss"),       real(j, "learningRate"),    real(j, "gradNorm"),
            real(j, "tokensPerSecond"), j.at("tokens"),        j.at("trainedTokens"),
            real(j, "seconds"),    j.at("time")};
}

EvalDone evalFrom(const Json& j)
{
    return {j.at("step"), real(j, "loss"),      real(j, "low"), real(j, "high"),    j.at("rows"),
            j.at("trainedTokens"), j.at("best"), real(j, "seconds"), j.at("time")};
}

Event parse(const Json& j)
{
    const auto kind = j.at("event").get<std::string>();
    if (kind == "phase")
        return PhaseChanged{j.at("phase"), real(j, "fraction"), j.at("detail")};
    if (kind == "step")
        return stepFrom(j);
    if (kind == "eval")
        return evalFrom(j);
    if (kind == "sample")
        return SampleDone{j.at("step"), j.at("prompt"), j.at("answer")};
    if (kind == "checkpoint")
        return CheckpointSaved{j.at("step"), j.at("folder"), j.at("best")};
    if (kind == "resumed")
        return Resumed{j.at("step")};
    if (kind == "warning")
        return Warning{j.at("code"), j.at("text")};
    if (kind == "piece")
        return TextPiece{j.at("stream"), j.at("text")};
    if (kind == "finished")
        return Finished{j.at("result")};
    if (kind == "stopped")
        return Stopped{j.at("result")};
    if (kind == "failed")
        return Failed{{codeOf(j.at("code")), j.at("what"), j.at("where"), j.at("remedy")}};
    throw std::out_of_range("event");
}

} // namespace

bool isEnd(const Event& event)
{
    return std::holds_alternative<Finished>(event) || std::holds_alternative<Stopped>(event)
           || std::holds_alternative<Failed>(event);
}

Json toJson(const Event& event)
{
    return std::visit([](const auto& e) { return json(e); }, event);
}

Result<Event> eventFromJson(const Json& json)
{
    try {
        return parse(json);
    } catch (const std::exception&) {
        return Error{ErrorCode::InvalidInput, "this is not an event of a run", "event", ""};
    }
}

} // namespace fettle::jobs
