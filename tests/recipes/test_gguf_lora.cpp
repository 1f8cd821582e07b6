#include "model/import/gguf_adapter.h"
#include "model/load.h"
#include "recipes/export_forms.h"
#include "recipes/settings.h"
#include "tensor/files/gguf.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <QTemporaryDir>
#include <QTest>
#include <fstream>

using namespace fettle;
using namespace fettle::recipes;
namespace fs = std::filesystem;

namespace {

fs::path tiny() { return fs::path(FETTLE_SOURCE_DIR) / "tests/fixtures/tiny_llama"; }

deploy::Answers answers(model::Model& model)
{
    return deploy::answersOf(model, {{5, 17, 200, 8, 3, 99, 45, 231}, {7, 7, 120, 66, 31}});
}

} // namespace

/// A run's add-on as GGUF file: names, rows and scale as llama.cpp reads them, read back, changed.
class TestGgufLora : public QObject
{
    Q_OBJECT

private Q_SLOTS:
    void init()
    {
        m_folder = std::make_unique<QTemporaryDir>();
        m_model.folder = tiny();
        const auto files = model::ModelFiles::open(tiny()).value();
        m_model.config = files.config();
        m_model.decoder = model::loadLanguageModel(files, c10::kCPU, at::kFloat).value();
        m_run.settings = {{"method", "lora"}, {"lora.rank", 4}, {"lora.alpha", 12}};
        m_run.seed = 5;
        ParamValues values(trainingSettings());
        values.setAll(Json(m_run.settings)).value();
        m_model.attached = methods::makeMethod("lora")
                               .value()
                               ->attach(*m_model.decoder, values, Rng(5, "adapter init"))
                               .value();
        const at::NoGradGuard noGrad;
        double shift = 0;
        for (const auto& each : m_model.attached->trainable()) {
            at::Tensor value = each.value;
            value.copy_(at::arange(value.numel())
                            .mul(0.7)
                            .add(shift += 1)
                            .sin()
                            .mul(0.3)
                            .view(value.sizes()));
        }
    }

    void namesRowsAndScaleAreThoseOfTheBase()
    {
        const auto form = ggufLoraForm();
        auto source = sourceOf(form);
        form.write(source).value();
        const auto file = tensor::GgufFile::open(path()).value();
        QVERIFY(file.text("general.type") == "adapter" && file.text("adapter.type") == "lora");
        QVERIFY(file.text("general.architecture") == "llama");
        QCOMPARE(file.real("adapter.lora.alpha").value(), 12.0);
        const auto& trainable = m_model.attached->trainable();
        QCOMPARE(file.tensors().size(), trainable.size());
        const auto& config = m_model.config;
        const auto half = config.headDim / 2;
        for (const auto& each : trainable) {
            if (each.name != "model.layers.1.self_attn.q_proj.lora_B.weight")
                continue;
            const auto* stored = file.tensor("blk.1.attn_q.weight.lora_b");
            QVERIFY(stored && stored->shape() == each.value.sizes().vec());
            const auto* values = reinterpret_cast<const float*>(stored->bytes.data());
            // Of each head the first and the second half lie in turn.
            for (std::int64_t row = 0; row < each.value.size(0); ++row) {
                const auto head = row / config.headDim, in = row % config.headDim;
                const auto published = head * config.headDim + in % 2 * half + in / 2;
                QCOMPARE(values[row * 4 + 3], each.value[published][3].item<float>());
            }
            return;
        }
        QFAIL("the query of layer 1 has no add-on");
    }

    void whatIsReadBackAnswersAlike()
    {
        const auto form = ggufLoraForm();
        auto source = sourceOf(form);
        form.write(source).value();
        QCOMPARE(std::distance(fs::directory_iterator(path().parent_path()), {}), 1);
        auto back = form.readBack(source);
        QVERIFY2(back, back ? "" : back.error().sentence().c_str());
        std::int64_t all = 0;
        for (const auto& each : m_model.attached->trainable())
            all += each.value.numel();
        QCOMPARE(back->weights, all);
        const auto proof =
            deploy::compareAnswers(answers(*m_model.decoder), answers(*back->onDisk));
        QVERIFY2(proof.passed, qPrintable(QString::number(proof.largestDifference)));
        m_model.attached->setEnabled(false);
        QVERIFY(!deploy::compareAnswers(answers(*m_model.decoder), answers(*back->onDisk)).passed);
    }

    void aChangedByteIsFound()
    {
        const auto form = ggufLoraForm();
        auto source = sourceOf(form);
        form.write(source).value();
        std::string bytes = readFile(path()).value();
        bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
        std::ofstream(path(), std::ios::binary) << bytes;
        const auto back = form.readBack(source);
        QVERIFY(!back && back.error().what.find("not what was written") != std::string::npos);
    }

    void whatSuchFilesCannotSayIsRefused()
    {
        const auto base = model::ModelFiles::open(tiny()).value();
        model::Adapter good;
        auto& update = good.updates["model.layers.0.self_attn.o_proj"];
        const auto hidden = base.config().hidden;
        const auto width = base.config().heads * base.config().headDim;
        update.a = {{2, width}, std::vector<float>(static_cast<std::size_t>(2 * width), 1)};
        update.b = {{hidden, 2}, std::vector<float>(static_cast<std::size_t>(hidden * 2), 1)};
        const auto target = fs::path(m_folder->path().toStdString()) / "a.gguf";
        const auto sentence = [&](auto change) {
            auto adapter = good;
            change(adapter, adapter.updates.begin()->second);
            const auto done = model::exportGgufAdapter(adapter, base, "base", target);
            return done ? QString() : QString::fromStdString(done.error().sentence());
        };
        QCOMPARE(sentence([](auto&, auto&) {}), QString());
        QVERIFY(model::readGgufAdapter(target, base.config()));
        QVERIFY(sentence([](auto&, auto& u) { u.embedding = true; }).contains("embedding table"));
        QVERIFY(sentence([](auto&, auto& u) { u.magnitude = {{1}, {1}}; }).contains("DoRA"));
        QVERIFY(sentence([](auto& a, auto&) {
                    a.whole["lm_head.weight"] = {};
                }).contains("weights that replace"));
        QVERIFY(sentence([](auto& a, auto& u) {
                    a.updates["model.nothing"] = u;
                }).contains("model.nothing"));
    }

    /// One alpha serves all tensors; where scales differ they go into the values.
    void differentScalesGoIntoTheValues()
    {
        const auto base = model::ModelFiles::open(tiny()).value();
        const auto hidden = static_cast<std::size_t>(base.config().hidden);
        model::Adapter adapter;
        for (const int layer : {0, 1}) {
            auto& update =
                adapter.updates["model.layers." + std::to_string(layer) + ".self_attn.o_proj"];
            const auto width =
                static_cast<std::size_t>(base.config().heads * base.config().headDim);
            update.a = {{1, static_cast<std::int64_t>(width)}, std::vector<float>(width, 2)};
            update.b = {{static_cast<std::int64_t>(hidden), 1}, std::vector<float>(hidden, 3)};
            update.scale = layer + 0.5;
        }
        const auto target = fs::path(m_folder->path().toStdString()) / "a.gguf";
        model::exportGgufAdapter(adapter, base, "base", target).value();
        QCOMPARE(tensor::GgufFile::open(target)->real("adapter.lora.alpha").value(), 0.0);
        const auto read = model::readGgufAdapter(target, base.config()).value();
        const auto& second = read.at("model.layers.1.self_attn.o_proj");
        QCOMPARE(second.scale, 1.0);
        QCOMPARE(second.b.values.back(), 4.5f);
        QCOMPARE(second.a.values.back(), 2.0f);
    }

private:
    fs::path path() const
    {
        return fs::path(m_folder->path().toStdString()) / "letters" / "letters.gguf";
    }
    ExportSource sourceOf(const ExportForm& form)
    {
        ExportPlan plan;
        plan.form = form.info.id;
        plan.type = "F32";
        plan.folder = path().parent_path();
        return {*m_model.decoder, m_model.attached.get(), m_model.folder, "tiny", m_run, plan, {}};
    }

    std::unique_ptr<QTemporaryDir> m_folder;
    LoadedModel m_model;
    store::RunRecord m_run;
};

QTEST_GUILESS_MAIN(TestGgufLora)
#include "test_gguf_lora.moc"
