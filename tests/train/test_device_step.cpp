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
#include <bit>
#include <set>

using namespace fettle;
using fettle::tests::hostTable;
namespace cuda = fettle::tensor::cuda;

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
        const cuda::Installed installed(hostTable(), c10::DeviceType::CPU);
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
        const cuda::Installed installed(hostTable(), c10::DeviceType::CPU);
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

    /// Of 65,536 numbers of noise as many round up as the lower half of the value says: the mean of all is the
    /// value itself, and each is one of the two neighbours.
    void roundsAtRandomWithoutBias()
    {
        for (const float x : {1.001F, -0.0123F, 3e-20F, 2.0F, -7.99F, 1.2345e30F}) {
            const auto lower = static_cast<std::uint32_t>(std::bit_cast<std::uint32_t>(x) >> 16);
            const double low = cuda::widened(cuda::Bf16{static_cast<std::uint16_t>(lower)});
            const double high = cuda::widened(cuda::Bf16{static_cast<std::uint16_t>(lower + 1)});
            double up = 0;
            for (std::uint32_t noise = 0; noise < 65536; ++noise) {
                const auto got = cuda::narrowedAtRandom(x, noise | 0xABCD0000).bits;
                QVERIFY(got == lower || got == lower + 1);
                up += got != lower;
            }
            const double mean = low + (high - low) * up / 65536;
            QVERIFY2(mean == static_cast<double>(x), qPrintable(QString("%1 against %2").arg(mean, 0, 'g', 17).arg(x)));
        }
    }

    /// Each step of a weight in bfloat16 is far below its last bit: over many steps the mean follows, and a
    /// step is the same whenever it is done again.
    void smallStepsAddUp()
    {
        constexpr std::size_t kCount = 4001;
        const Rng rng(5, "weight rounding");
        const auto run = [&] {
            std::vector<cuda::Bf16> p(kCount, cuda::narrowed<cuda::Bf16>(1)), g(kCount, cuda::narrowed<cuda::Bf16>(1));
            std::vector<float> m(kCount), v(kCount, 1);
            cuda::AdamwArgs args{};
            args.used = 1, args.number = cuda::Number::BFloat16, args.key0 = rng.key()[0], args.key1 = rng.key()[1];
            args.beta2 = 1, args.size = 1e-4F, args.inverseRoot = 1, args.gradScale = 1;
            args.tensors[0] = {p.data(), g.data(), m.data(), v.data(), nullptr, nullptr, kCount, 1, 9};
            for (args.step = 1; args.step <= 100; ++args.step)
                hostTable().adamw(args);
            std::vector<float> out;
            for (const auto each : p)
                out.push_back(cuda::widened(each));
            return out;
        };
        const auto once = run();
        QCOMPARE(run(), once);
        double mean = 0;
        for (const float each : once)
            mean += each / double{kCount};
        // 100 steps of 1e-4, f = 0.0256 of the last bit 2^-8: each rounds with a deviation of sqrt(f (1 - f)) of it.
        QVERIFY2(std::abs(mean - 0.99) < 4 * 0.0006 * 10 / std::sqrt(double{kCount}), qPrintable(QString::number(mean, 'g', 9)));
    }

    /// Where a card is small: moments in host memory and layers made again change no bit.
    void savingsChangeNothing()
    {
        QTemporaryDir folder;
        const std::filesystem::path model = folder.filePath("model").toStdString();
        tests::writeRandomModel(model, largerConfig()).value();
        const cuda::Installed installed(hostTable(), c10::DeviceType::CPU);
        for (const auto type : {at::kBFloat16, at::kDouble}) { // by kernels, and by the readable operations
            auto setup = setupOf("full", 5);
            const auto plain = gpu::carryOut(*decoderOf(model, type), setup);
            setup.hostMoments = true, setup.recomputed = 1;
            const auto saved = gpu::carryOut(*decoderOf(model, type), setup);
            QCOMPARE(saved.losses.size(), std::size_t{5});
            QVERIFY(saved.losses == plain.losses);
            for (std::size_t i = 0; i < plain.weights.size(); ++i)
                QVERIFY(at::equal(saved.weights[i], plain.weights[i]));
        }
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
        const cuda::Installed installed(hostTable(), c10::DeviceType::CPU);
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
