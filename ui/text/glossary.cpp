// The words on screen, each with the field's term and one line for the tooltip.
#include "ui/text/words.h"

#include <QCoreApplication>

namespace fettle::ui {

const std::vector<Word>& glossary()
{
    const auto t = [](const char* text) { return QCoreApplication::translate("Glossary", text); };
    static const std::vector<Word> words{
        {t("workspace"), t("workspace"),
         t("the folder that holds everything; copy it and it works elsewhere")},
        {t("row"), t("example"), t("one question with its answer, or one text with its class")},
        {t("training rows"), t("training set"), t("what the model learns from")},
        {t("checking rows"), t("validation set"),
         t("not learned from; watched during the run to see when to stop")},
        {t("test rows"), t("test set"), t("opened only for the final score")},
        {t("question"), t("prompt"), t("what the model is given")},
        {t("answer"), t("response, completion"), t("what the model writes, or should write")},
        {t("standing instruction"), t("system prompt"),
         t("told to the model before every question")},
        {t("conversation form"), t("chat template"),
         t("the marks this model expects around question and answer")},
        {t("word piece"), t("token"),
         t("models read pieces of words; about 3 to 4 letters each in English")},
        {t("taught / only read"), t("trained / masked label"),
         t("taught pieces move the model; the others are context")},
        {t("longest text"), t("context length"),
         t("rows with more pieces are left out or split, never cut in silence")},
        {t("original"), t("base model"), t("the model as it came; never changed")},
        {t("tuned model"), t("fine-tuned model"), t("the original after training")},
        {t("model size"), t("number of parameters"), t("how many numbers the model is made of")},
        {t("number size"), t("quantisation, dtype"),
         t("bits per number; fewer bits, smaller file, small loss")},
        {t("method"), t("parameter-efficient method"), t("which part of the model may change")},
        {t("goal"), t("objective"), t("what counts as better during training")},
        {t("add-on"), t("adapter"),
         t("a small file that changes the original when both are loaded")},
        {t("add-on size"), t("rank"), t("how much the add-on can hold")},
        {t("add-on strength"), t("scaling (alpha)"), t("how strongly the add-on speaks")},
        {t("plan"), t("recipe"), t("all that is needed to start a run")},
        {t("step"), t("optimizer step"), t("one change of the model")},
        {t("pass"), t("epoch"), t("once through all training rows")},
        {t("rows per step"), t("batch size"), t("how many rows vote on each change")},
        {t("rows at once"), t("micro-batch"),
         t("how many fit in memory together; changes speed, not the result")},
        {t("change per step"), t("learning rate"),
         t("how much to change at each step; too much breaks, too little does nothing")},
        {t("gentle start"), t("warm-up"), t("first steps are made smaller")},
        {t("size of change"), t("gradient norm"), t("how strongly the rows pull")},
        {t("random start"), t("seed"), t("the same number gives the same run")},
        {t("loss"), t("loss"),
         t("how surprised the model is by the right answer; lower is better")},
        {t("surprise"), t("perplexity"),
         t("among how many pieces the model is in doubt, on average")},
        {t("learning by heart"), t("overfitting"),
         t("training rows get better, checking rows worse")},
        {t("forgetting"), t("catastrophic forgetting"),
         t("what the original could do and the tuned model cannot")},
        {t("save point"), t("checkpoint"),
         t("the run as it was at a step; go back, continue or take away")},
        {t("range"), t("95 % confidence interval"), t("where the true value plausibly lies")},
        {t("repeat"), t("run with another seed"), t("the same plan with another random start")},
        {t("leak"), t("data leakage"), t("a test row, or its twin, among the training rows")},
        {t("variation"), t("temperature"), t("0: always the likeliest piece; higher: more varied")},
        {t("fingerprint"), t("digest (SHA-256)"),
         t("short code that changes when anything in it changes")},
    };
    return words;
}

} // namespace fettle::ui
