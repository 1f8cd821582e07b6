#include "gpu/gpu_runs.h"
#include "tensor/cuda/cuda_ops.h"
#include "tensor/device.h"
#include "tensor/host_launch.h"

#include "golden.h"

#include <ATen/record_function.h>
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
};

QTEST_APPLESS_MAIN(TestDeviceStep)
#include "test_device_step.moc"
