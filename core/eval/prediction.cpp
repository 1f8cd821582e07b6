#include "eval/prediction.h"

namespace fettle::eval {

Json toJson(const RowPrediction& row)
{
    Json json = {{"row", row.rowId}, {"reference", row.reference}};
    if (row.hasAnswer)
        json["prediction"] = row.prediction;
    if (row.tokens > 0) {
        json["lossSum"] = row.lossSum;
        json["tokens"] = row.tokens;
    }
    return json;
}

Result<RowPrediction> predictionFromJson(const Json& json)
{
    const auto bad = [](const char* what) {
        return Error{ErrorCode::InvalidInput, what, "", "Evaluate the model again"};
    };
    if (!json.is_object() || !json.contains("row") || !json["row"].is_number_integer())
        return bad("a line of the predictions has no row number");
    RowPrediction row;
    row.rowId = json["row"].get<std::int64_t>();
    if (json.contains("reference") && json["reference"].is_string())
        row.reference = json["reference"].get<std::string>();
    if (json.contains("prediction") && json["prediction"].is_string()) {
        row.prediction = json["prediction"].get<std::string>();
        row.hasAnswer = true;
    }
    if (json.contains("tokens") && json["tokens"].is_number_integer() && json.contains("lossSum")) {
        if (!json["lossSum"].is_number())
            return bad("a line of the predictions has a loss that is not a number");
        row.tokens = json["tokens"].get<std::int64_t>();
        row.lossSum = json["lossSum"].get<double>();
    }
    return row;
}

} // namespace fettle::eval
