#include "host_launch.h"
#include "model/load.h"
#include "tensor/cuda/cuda_ops.h"
#include "tensor/cuda/load_kernels.h"
#include "tensor/cuda/self_check.h"
#include "tensor/device_matrix.h"
#include "tensor/quantised_ops.h"
#include "train/optimizers/adamw.h"

#include "golden.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <QTest>
#include <torch/csrc/autograd/autograd.h>

using namespace fettle;
using namespace fettle::tensor;
using fettle::tests::hostTable;

namespace {

/// Names of the kernels that were started, in the order of their first start.
std::vector<std::string> started;

void note(const char* name)
{
    if (std::ranges::find(started, name) == started.end())
        started.emplace_back(name);
}

/// The table of the processor's stand-in, with a note of what is called and one kernel that errs.
cuda::KernelTable noted()
{
    auto table = hostTable();
    table.rmsForward = [](const cuda::NormArgs& a) { return note("norm"), hostTable().rmsForward(a); };
    table.layerForward = [](const cuda::LayerNormArgs& a) { return note("layer norm"), hostTable().layerForward(a); };
    table.rope = [](const cuda::RopeArgs& a) { return note("rotation"), hostTable().rope(a); };
    table.gate = [](const cuda::GateArgs& a) {
        return note(a.curve == cuda::Curve::Silu ? "gate" : "gelu"), hostTable().gate(a);
    };
    table.dropout = [](const cuda::DropoutArgs& a) { return note("dropout"), hostTable().dropout(a); };
    table.loss = [](const cuda::LossArgs& a) { return note("loss"), hostTable().loss(a); };
    table.adamw = [](const cuda::AdamwArgs& a) { return note("optimizer step"), hostTable().adamw(a); };
    table.sumsOfSquares = [](const cuda::SquaresArgs& a) { return note("gradient length"), hostTable().sumsOfSquares(a); };
    table.decode = [](const cuda::DecodeArgs& a) { return note("decoding"), hostTable().decode(a); };
    return table;
}

bool near(const at::Tensor& one, const at::Tensor& other, double relative, double absolute)
{
    return at::allclose(one.to(at::kDouble), other.to(at::kDouble), relative, absolute);
}

struct Pass
{
    double loss = 0;
    std::int64_t correct = 0;
    std::vector<std::pair<std::string, at::Tensor>> gradients;
};

/// An add-on that changes something: B is not zero.
std::unique_ptr<methods::Attached> addOn(model::Decoder& decoder)
{
    const auto method = methods::makeMethod("lora").value();
    ParamValues values(method->spec().parameters);
    values.set("lora.dropout", 0.0).value();
    auto attached = method->attach(decoder, values, Rng(1, "adapter init")).value();
    const at::NoGradGuard noGrad;
    for (const auto& each : attached->trainable()) {
        at::Tensor value = each.value;
        if (each.name.ends_with("lora_B.weight"))
            value.copy_((at::arange(value.numel()) * 0.7).sin().view(value.sizes()) * 0.05);
    }
    return attached;
}

/// Holds the matrices of the sites in codes as on a device; in float64 the values of these codes.
void packAsOnDevice(model::Decoder& decoder, WeightKind kind)
{
    for (auto* site : decoder.sites()) {
        const auto host = quantised(kind, site->matrix());
        if (decoder.dtype() == at::kDouble)
            site->weight = decoded(*host).to(at::kDouble);
        else if (kind == WeightKind::Int8)
            site->packed = std::make_shared<DeviceMatrix>(static_cast<const Int8Matrix&>(*host), at::kCPU);
        else
            site->packed = std::make_shared<DeviceMatrix>(static_cast<const Nf4Matrix&>(*host), at::kCPU);
        if (site->packed)
            site->weight = at::Tensor();
    }
}

/// One pass of a small model with every parameter training, or an add-on; `weights`: as it is held.
Pass passOf(const std::string& fixture, at::ScalarType type, bool withAddOn = false,
            WeightKind weights = WeightKind::Float32)
{
    auto files = model::ModelFiles::open(tests::sourceFolder() / "tests/fixtures" / fixture).value();
    auto decoder = model::loadDecoder(files, at::kCPU, type).value();
    model::PackedTokens tokens;
    tokens.add(std::vector<std::int32_t>{5, 9, 2, 7, 7, 1});
    tokens.add(std::vector<std::int32_t>{3, 4, 8});
    if (hasFewBits(weights))
        packAsOnDevice(*decoder, weights);
    const auto attached = withAddOn ? addOn(*decoder) : nullptr;
    for (auto& [name, parameter] : decoder->parameters())
        *parameter = parameter->detach().clone().set_requires_grad(!withAddOn);
    decoder->tie();
    const std::vector<std::int64_t> labels = {9, 2, 7, 7, 1, 3, 4, 8, 0};
    HeadLossInfo info;
    decoder->loss(decoder->hidden(tokens), labels, 0.5, info).backward();
    Pass pass{info.total(), info.correct, {}};
    for (auto& [name, parameter] : decoder->parameters()) {
        if (!withAddOn && parameter->grad().defined()) // no token may have gone to an expert
            pass.gradients.emplace_back(name, parameter->grad().clone());
    }
    for (const auto& each : attached ? attached->trainable() : std::vector<methods::TrainableTensor>())
        pass.gradients.emplace_back(each.name, each.value.grad().clone());
    return pass;
}

} // namespace

/// The operators around the kernels of the graphics card, with their stand-in on the processor.
class TestCudaOps : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void cleanup() { started.clear(); }

    void theSelfCheckAgreesAndTouchesEveryKernel()
    {
        const auto table = noted();
        const cuda::Installed installed(table, c10::DeviceType::CPU);
        const auto parting = cuda::partingKernels(at::kCPU);
        QVERIFY2(parting.empty(), parting.empty() ? "" : parting[0].c_str());
        const std::vector<std::string> all = {"norm", "layer norm", "rotation", "gate", "gelu", "dropout", "loss",
                                              "optimizer step", "gradient length", "decoding"};
        QCOMPARE(started, all);
    }

    void theSelfCheckNamesAKernelThatErrs_data()
    {
        QTest::addColumn<QString>("name");
        for (const char* name : {"norm", "layer norm", "rotation", "gate", "gelu", "dropout", "loss", "optimizer step",
                                 "gradient length", "decoding"})
            QTest::newRow(name) << name;
    }
    void theSelfCheckNamesAKernelThatErrs()
    {
        QFETCH(QString, name);
        auto table = hostTable();
        if (name == "norm") // leaves the gradient as it is
            table.rmsBackward = [](const cuda::NormArgs&) { return 0; };
        if (name == "rotation") // turns the gradient forwards
            table.rope = [](const cuda::RopeArgs& a) { auto b = a; b.sign = 1; return hostTable().rope(b); };
        if (name == "layer norm") // forgets what the sum's own gradient is
            table.layerBackward = [](const cuda::LayerNormArgs& a) { auto b = a; b.dSum = nullptr; return hostTable().layerBackward(b); };
        if (name == "gate")
            table.gate = [](const cuda::GateArgs& a) {
                auto b = a;
                if (a.curve == cuda::Curve::Silu)
                    b.up = a.gate;
                return hostTable().gate(b);
            };
        if (name == "gelu") // one form for the other
            table.gateBackward = [](const cuda::GateArgs& a) {
                auto b = a;
                if (a.curve == cuda::Curve::GeluTanh)
                    b.curve = cuda::Curve::Silu;
                return hostTable().gateBackward(b);
            };
        if (name == "dropout") // forgets the names of the rows
            table.dropout = [](const cuda::DropoutArgs& a) { auto b = a; b.places = nullptr; return hostTable().dropout(b); };
        if (name == "loss")
            table.loss = [](const cuda::LossArgs& a) { auto b = a; b.scale *= 1.1F; return hostTable().loss(b); };
        if (name == "optimizer step")
            table.adamw = [](const cuda::AdamwArgs& a) { auto b = a; b.inverseRoot = 1; return hostTable().adamw(b); };
        if (name == "gradient length")
            table.sumsOfSquares = [](const cuda::SquaresArgs& a) { auto b = a; b.counts[0] -= 1; return hostTable().sumsOfSquares(b); };
        if (name == "decoding")
            table.decode = [](const cuda::DecodeArgs& a) { auto b = a; b.offset *= 1.001F; return hostTable().decode(b); };
        const cuda::Installed installed(table, c10::DeviceType::CPU);
        QCOMPARE(cuda::partingKernels(at::kCPU), std::vector<std::string>{name.toStdString()});
    }

    void aLaunchThatFailsSaysSo()
    {
        auto table = hostTable();
        table.gate = [](const cuda::GateArgs&) { return 2; };
        table.errorText = [](int) { return "out of memory"; };
        const cuda::Installed installed(table, c10::DeviceType::CPU);
        try {
            siluGate(at::ones({2, 3}), at::ones({2, 3}));
            QFAIL("nothing was thrown");
        } catch (const std::exception& problem) {
            QVERIFY2(QString(problem.what()).contains("libfettle_cuda.so could not be started: out of memory"), problem.what());
        }
    }

    void readableOperationsCanBeForced()
    {
        const auto table = noted();
        const cuda::Installed installed(table, c10::DeviceType::CPU);
        const ReferenceOps reference;
        rmsNorm(at::ones({2, 8}), at::ones({8}), 1e-5);
        QVERIFY(started.empty());
    }

    void aModelGivesTheSameLossAndGradients_data()
    {
        QTest::addColumn<QString>("fixture");
        QTest::addColumn<bool>("half");
        QTest::addColumn<bool>("withAddOn");
        QTest::addColumn<QStringList>("kernels");
        QTest::addColumn<QString>("weights");
        const QStringList llama = {"norm", "rotation", "gate", "loss"};
        QTest::newRow("float32") << "tiny_llama" << false << false << llama << "float32";
        QTest::newRow("bfloat16") << "tiny_llama" << true << false << llama << "float32";
        QTest::newRow("an add-on in float32") << "tiny_llama" << false << true << llama << "float32";
        QTest::newRow("an add-on in bfloat16") << "tiny_llama" << true << true << llama << "float32";
        QTest::newRow("layer norms") << "families/gpt2" << false << false << QStringList{"layer norm", "gelu", "loss"} << "float32";
        QTest::newRow("parallel blocks") << "families/gpt_neox" << false << false
                                         << QStringList{"layer norm", "rotation", "gelu", "loss"} << "float32";
        QTest::newRow("gates of gelu") << "families/gemma" << false << false << QStringList{"norm", "rotation", "gelu", "loss"} << "float32";
        for (const bool half : {false, true}) {
            for (const char* weights : {"int8", "nf4"})
                QTest::addRow("an add-on on %s in %s", weights, half ? "bfloat16" : "float32")
                    << "tiny_llama" << half << true << QStringList{"norm", "decoding", "rotation", "gate", "loss"} << weights;
        }
        QTest::newRow("experts") << "families/mixtral" << false << false << llama << "float32";
    }
    void aModelGivesTheSameLossAndGradients()
    {
        QFETCH(QString, fixture);
        QFETCH(bool, half);
        QFETCH(bool, withAddOn);
        QFETCH(QStringList, kernels);
        QFETCH(QString, weights);
        const auto kind = *weightKindFrom(weights.toStdString());
        const auto expected = passOf(fixture.toStdString(), at::kDouble, withAddOn, kind);
        const auto table = noted();
        const cuda::Installed installed(table, c10::DeviceType::CPU);
        const auto ours = passOf(fixture.toStdString(), half ? at::kBFloat16 : at::kFloat, withAddOn, kind);
        QStringList names;
        for (const auto& name : started)
            names << QString::fromStdString(name);
        QCOMPARE(names, kernels);
        QVERIFY2(std::abs(ours.loss - expected.loss) <= (half ? 2e-2 : 1e-5) * expected.loss,
                 qPrintable(QString("%1 against %2").arg(ours.loss).arg(expected.loss)));
        QVERIFY(!expected.gradients.empty());
        QCOMPARE(ours.gradients.size(), expected.gradients.size());
        for (std::size_t i = 0; i < expected.gradients.size(); ++i) {
            const auto& [name, gradient] = expected.gradients[i];
            const auto own = ours.gradients[i].second.to(at::kDouble);
            const auto size = gradient.abs().max().item<double>();
            // In bfloat16 the layers between add up their roundings, and 32 numbers a row average little:
            // the direction counts, not each entry.
            const auto cosine = (own * gradient).sum().item<double>() / (own.norm() * gradient.norm()).item<double>();
            // Decoded values are rounded to 8 bits once more, which those in float64 are not.
            QVERIFY2(half ? cosine > (hasFewBits(kind) ? 0.99 : 0.998) : near(own, gradient, 1e-4, 1e-5 * size),
                     qPrintable(QString("%1: cosine %2").arg(name.c_str()).arg(cosine)));
        }
    }

    /// More tensors than one launch takes, of which some have no gradient.
    void theOptimizerStepsAsOnTheProcessor()
    {
        const auto run = [](bool withKernels) {
            const auto table = noted();
            std::optional<cuda::Installed> installed;
            if (withKernels)
                installed.emplace(table, c10::DeviceType::CPU);
            std::vector<methods::TrainableTensor> tensors;
            for (std::int64_t i = 0; i < 150; ++i)
                tensors.push_back({"w" + std::to_string(i), (at::arange(3 + i) * 0.37).sin().set_requires_grad(true), i % 2 == 0});
            train::Adamw optimizer(tensors, {0.9, 0.99, 1e-8, 0.1});
            std::vector<at::Tensor> out;
            for (int step = 0; step < 3; ++step) {
                for (std::size_t i = 0; i < tensors.size(); ++i) {
                    if (i % 7 != 3)
                        tensors[i].value.mutable_grad() = (tensors[i].value.detach() * (step + 1) + 0.1).cos();
                }
                out.push_back(at::tensor(optimizer.gradNorm()));
                optimizer.step(1e-2, 0.5);
            }
            for (const auto& each : tensors)
                out.push_back(each.value.detach().clone());
            return out;
        };
        const auto ours = run(true), expected = run(false);
        QCOMPARE(started, (std::vector<std::string>{"gradient length", "optimizer step"}));
        for (std::size_t i = 0; i < ours.size(); ++i)
            QVERIFY2(near(ours[i], expected[i], 1e-5, 1e-6), qPrintable(QString::number(i)));
    }

    /// Weights in bfloat16 take the same noise in both ways of computing, and codes are those of the processor's.
    void otherFormsOfTheStepAgree_data()
    {
        QTest::addColumn<bool>("half");
        QTest::newRow("weights in bfloat16") << true;
        QTest::newRow("moments in 8 bits") << false;
    }
    void otherFormsOfTheStepAgree()
    {
        QFETCH(bool, half);
        const auto run = [&](bool withKernels) {
            const auto table = noted();
            std::optional<cuda::Installed> installed;
            if (withKernels)
                installed.emplace(table, c10::DeviceType::CPU);
            const auto type = half ? at::kBFloat16 : at::kFloat;
            std::vector<methods::TrainableTensor> tensors;
            for (std::int64_t i = 0; i < 3; ++i)
                tensors.push_back({"w" + std::to_string(i), (at::arange(5003 + i) * 0.37).sin().to(type).set_requires_grad(true)});
            train::Adamw optimizer(tensors, {0.9, 0.99, 1e-8, 0.1, !half, 11});
            for (int step = 0; step < 4; ++step) {
                for (auto& each : tensors)
                    each.value.mutable_grad() = (at::arange(each.value.numel()) * 0.21 * (step + 1)).cos().to(type);
                optimizer.step(1e-2, 0.5);
            }
            std::vector<at::Tensor> out;
            for (const auto& each : tensors)
                out.push_back(each.value.detach().to(at::kDouble));
            for (const auto& [name, value] : optimizer.state())
                out.push_back(value.to(at::kDouble));
            return out;
        };
        const auto ours = run(true), expected = run(false);
        QCOMPARE(started, (std::vector<std::string>{"optimizer step"}));
        QCOMPARE(ours.size(), expected.size());
        for (std::size_t i = 0; i < ours.size(); ++i) {
            // The last bit of float32 decides of few: over the last bit of bfloat16, or one code up or down.
            const auto away = (ours[i] - expected[i]).abs();
            const auto other = away.gt(expected[i].abs() * 1e-5 + 1e-5).to(at::kDouble).mean().item<double>();
            QVERIFY2(other < 2e-3, qPrintable(QString("%1: %2").arg(i).arg(other)));
            QVERIFY2(away.max().item<double>() <= (i >= 3 && !half ? 1 : 8e-3), qPrintable(QString::number(i)));
        }
    }

    /// By the kernel, and by LibTorch's operations where there is none.
    void codesOnADeviceHaveTheValuesOfTheProcessor()
    {
        for (const auto kind : {WeightKind::Int8, WeightKind::Nf4}) {
            for (const auto& [rows, columns] : {std::pair{5, 64}, std::pair{7, 33}, std::pair{300, 192}}) {
                const auto host = quantised(kind, (at::arange(rows * columns) * 0.71).sin().view({rows, columns}));
                const DeviceMatrix own = kind == WeightKind::Int8
                                             ? DeviceMatrix(static_cast<const Int8Matrix&>(*host), at::kCPU)
                                             : DeviceMatrix(static_cast<const Nf4Matrix&>(*host), at::kCPU);
                const auto expected = decoded(*host);
                QVERIFY(at::equal(decoded(own), expected));
                std::vector<float> some(static_cast<std::size_t>(2 * columns));
                own.decode(3, 2, some.data());
                QVERIFY(at::equal(at::tensor(some), expected.narrow(0, 3, 2).flatten()));
                const auto table = noted();
                const cuda::Installed installed(table, c10::DeviceType::CPU);
                QVERIFY(at::equal(own.values(at::kFloat), expected));
                QVERIFY(at::equal(own.values(at::kBFloat16), expected.to(at::kBFloat16)));
            }
        }
    }

    /// Without a card and without the library nothing is in use and the sentence says why.
    void aMissingLibraryIsNoError()
    {
        const auto sentence = QString::fromStdString(cuda::useFastOperations(at::kCPU));
        QVERIFY2(sentence.contains("own kernels are not used: libfettle_cuda.so was not found"), qPrintable(sentence));
        QVERIFY(cuda::kernelsFor(at::ones({2})) == nullptr);
    }
};

QTEST_APPLESS_MAIN(TestCudaOps)
#include "test_cuda_ops.moc"
