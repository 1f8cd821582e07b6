#include "gpu/gpu_runs.h"
#include "recipes/settings.h"
#include "tensor/cuda/cuda_ops.h"
#include "tensor/device.h"
#include "tensor/host_launch.h"

#include "golden.h"
#include "model/random_model.h"

#include <ATen/record_function.h>
#include <QTemporaryDir>
#include <QTest>
#include <set>

using namespace fettle;
using fettle::tests::hostTable;

namespace {

/// Counts what the host asks of tensors while it lives: numbers, places of what is not zero, copies to it.
class HostReads
{
public:
    HostReads()
        : m_handle(at::addGlobalCallback(at::RecordFunctionCallback(&begin, &end).scopes({at::RecordScope::FUNCTION})))
    {
        count = depth = 0;
    }
    ~HostReads() { at::removeCallback(m_handle); }

    inline static int count = 0;

private:
    static std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function)
    {
        static const std::set<std::string> reads = {"aten::_local_scalar_dense", "aten::nonzero", "aten::is_nonzero",
                                                    "aten::equal", "aten::masked_select"};
        const std::string name = function.name();
        // Copies to the host that the program asks for; inside other operations such a call changes the type.
        const bool copies = name == "aten::to" && std::string(function.overload_name()) == "dtype_layout" && depth == 0;
        count += reads.contains(name) || copies;
        ++depth;
        return nullptr;
    }
    static void end(const at::RecordFunction&, at::ObserverContext*) { --depth; }

    inline static int depth = 0;
    at::CallbackHandle m_handle;
};

std::unique_ptr<model::Decoder> decoderOf(const std::filesystem::path& folder, at::ScalarType type = at::kFloat)
{
    auto files = model::ModelFiles::open(folder).value();
    return model::loadDecoder(files, at::kCPU, type).value();
}

const std::filesystem::path kTiny = tests::sourceFolder() / "tests/fixtures/tiny_llama";

/// Its matrices are large enough for moments in 8 bits.
Json largerConfig()
{
    return {{"architectures", {"LlamaForCausalLM"}}, {"model_type", "llama"}, {"hidden_size", 64}, {"intermediate_size", 128},
            {"num_hidden_layers", 2}, {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"head_dim", 16},
            {"vocab_size", 640}, {"max_position_embeddings", 128}, {"rms_norm_eps", 1e-5}, {"rope_theta", 10000.0},
            {"hidden_act", "silu"}, {"tie_word_embeddings", true}, {"bos_token_id", 0}, {"eos_token_id", 1}};
}

gpu::Setup setupOf(const char* method, std::int64_t steps)
{
    gpu::Setup setup;
    setup.method = method, setup.steps = steps, setup.save = false;
    setup.rows = gpu::randomRows(16, 600, 20, 0.4, 40);
    setup.microBatchTokens = 40; // several micro-batches a step
    setup.dropout = 0.1;
    return setup;
}

} // namespace

/// Steps on a device, whose kernels the processor stands in for.
class TestDeviceStep : public QObject
{
    Q_OBJECT
private Q_SLOTS:
    void initTestCase() { tensor::useComputeThreads(1); }

    void methods_data()
    {
        QTest::addColumn<QString>("method");
        QTest::newRow("an add-on") << "lora";
        QTest::newRow("the whole model") << "full";
    }

    /// Losses and gradient lengths of the run are those of the processor's kernels.
    void aRunLearnsAsOnTheProcessor_data() { methods_data(); }
    void aRunLearnsAsOnTheProcessor()
    {
        QFETCH(QString, method);
        const auto setup = setupOf(method == "lora" ? "lora" : "full", 6);
        const auto expected = gpu::carryOut(*decoderOf(kTiny), setup);
        const tensor::cuda::Installed installed(hostTable(), c10::DeviceType::CPU);
        const auto ours = gpu::carryOut(*decoderOf(kTiny), setup);
        QCOMPARE(ours.losses.size(), std::size_t{6});
        for (std::size_t i = 0; i < ours.losses.size(); ++i) {
            QVERIFY2(std::abs(ours.losses[i] / expected.losses[i] - 1) < 1e-4, qPrintable(QString::number(i)));
            QVERIFY2(std::abs(ours.gradNorms[i] / expected.gradNorms[i] - 1) < 1e-3, qPrintable(QString::number(i)));
        }
    }

    /// Whatever the number of micro-batches, a further step costs one read.
    void aStepWaitsOnce_data() { methods_data(); }
    void aStepWaitsOnce()
    {
        QFETCH(QString, method);
        const tensor::cuda::Installed installed(hostTable(), c10::DeviceType::CPU);
        const auto readsOf = [&](std::int64_t steps) {
            const HostReads reads;
            gpu::carryOut(*decoderOf(kTiny), setupOf(method == "lora" ? "lora" : "full", steps));
            return HostReads::count;
        };
        readsOf(1); // what is made once for all
        const int few = readsOf(2), more = readsOf(7);
        QCOMPARE(more - few, 5);
    }

    void aWholeModelIsInFloat32UnlessAskedOtherwise()
    {
        const auto precisionOf = [](const char* method, const char* asked) {
            ParamValues values(recipes::trainingSettings());
            values.set("method", method).value();
            values.set("training.precision", asked).value();
            return recipes::precisionOf(values);
        };
        QCOMPARE(precisionOf("full", "auto"), std::string("float32"));
        QCOMPARE(precisionOf("full", "bfloat16"), std::string("bfloat16"));
        QCOMPARE(precisionOf("lora", "auto"), std::string("auto"));
    }

    /// A whole model in bfloat16 whose moments are codes: it learns about as in float32, and a stopped run goes
    /// on bit for bit, since the noise of its rounding is a function of seed, step, tensor and element.
    void weightsInSixteenBitsLearn()
    {
        QTemporaryDir folder;
        const auto path = [&](const char* name) { return std::filesystem::path(folder.filePath(name).toStdString()); };
        tests::writeRandomModel(path("model"), largerConfig()).value();
        auto setup = setupOf("full", 8);
        setup.learningRate = 1e-3, setup.eightBits = true;
        const auto exact = gpu::carryOut(*decoderOf(path("model")), setup);
        const tensor::cuda::Installed installed(hostTable(), c10::DeviceType::CPU);
        const auto run = [&](const char* name) {
            setup.save = true, setup.folder = path(name);
            std::filesystem::create_directories(setup.folder);
            return gpu::carryOut(*decoderOf(path("model"), at::kBFloat16), setup);
        };
        const auto whole = run("whole");
        for (std::size_t i = 0; i < exact.losses.size(); ++i)
            QVERIFY2(std::abs(whole.losses[i] / exact.losses[i] - 1) < 1e-2,
                     qPrintable(QString("%1: %2 against %3").arg(i).arg(whole.losses[i]).arg(exact.losses[i])));
        setup.stopAfter = 3;
        auto parted = run("parted");
        setup.stopAfter = -1, setup.resume = true;
        const auto rest = run("parted");
        parted.losses.insert(parted.losses.end(), rest.losses.begin(), rest.losses.end());
        QVERIFY(parted.losses == whole.losses);
        for (std::size_t i = 0; i < whole.weights.size(); ++i) {
            QCOMPARE(whole.weights[i].scalar_type(), at::kBFloat16);
            QVERIFY(at::equal(whole.weights[i], rest.weights[i]));
        }
    }
};

QTEST_APPLESS_MAIN(TestDeviceStep)
#include "test_device_step.moc"
