#include "tensor/quantised_ops.h"

#include "tensor/device_matrix.h"
#include "tensor/kernels/cpu_kernels.h"
#include "tensor/matrix_products.h"
#include "tensor/ops_detail.h"
#include "tensor/parallel.h"
#include "tensor/torch_pch.h"

namespace fettle::tensor {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

namespace {

/// Rows that a task decodes, and outputs that it makes.
constexpr std::int64_t kTaskRows = 192;

/// Rows [first, first + count), shared out to the threads.
void decodeInto(const QuantisedMatrix& matrix, std::int64_t first, std::int64_t count,
                float* values)
{
    parallelTasks((count + kTaskRows - 1) / kTaskRows, [&](std::int64_t task) {
        const auto from = task * kTaskRows;
        matrix.decode(first + from, std::min(kTaskRows, count - from),
                      values + from * matrix.columns());
    });
}

/// Keeps the codes alive in a graph.
struct Held : torch::CustomClassHolder
{
    explicit Held(QuantisedPtr own)
        : matrix(std::move(own))
    {
    }
    QuantisedPtr matrix;
};

/// The values for a product with x.
Tensor valuesFor(const QuantisedMatrix& matrix, const Tensor& x)
{
    if (const auto* there = asDeviceMatrix(matrix))
        return there->values(x.scalar_type());
    return decoded(matrix).to(x.options());
}

struct LinearFunction : Function<LinearFunction>
{
    /// An empty bias means none.
    static Tensor forward(AutogradContext* ctx, const Tensor& x, const Tensor& bias,
                          const c10::intrusive_ptr<Held>& held)
    {
        ctx->saved_data["matrix"] = c10::IValue::make_capsule(held);
        const auto weight = valuesFor(*held->matrix, x);
        return bias.numel() > 0 ? at::linear(x, weight, bias) : at::linear(x, weight);
    }
    static variable_list backward(AutogradContext* ctx, variable_list grads)
    {
        const auto held =
            c10::static_intrusive_pointer_cast<Held>(ctx->saved_data["matrix"].toCapsule());
        const auto& dy = grads[0];
        Tensor dx, dBias;
        if (ctx->needs_input_grad(0))
            dx = at::mm(dy, valuesFor(*held->matrix, dy));
        if (ctx->needs_input_grad(1))
            dBias = dy.sum(0);
        return {dx, dBias, Tensor()};
    }
};

/// part(first, values [rows, columns]) for parts of the matrix that stay in the cache.
void overParts(const QuantisedMatrix& matrix,
               const std::function<void(std::int64_t, const Tensor&)>& part)
{
    constexpr std::int64_t kPartValues = 1 << 20;
    const auto some =
        std::max<std::int64_t>(kTaskRows, kPartValues / matrix.columns() / kTaskRows * kTaskRows);
    // One piece of memory for all calls: freed and taken again beside larger ones it would leave holes.
    thread_local AlignedBuffer room;
    const Tensor values = at::from_blob(room.reserve(some * matrix.columns()), {some, matrix.columns()});
    for (std::int64_t first = 0; first < matrix.rows(); first += some) {
        const auto count = std::min(some, matrix.rows() - first);
        decodeInto(matrix, first, count, values.data_ptr<float>());
        part(first, values.narrow(0, 0, count));
    }
}

/// Few rows from the codes themselves.
Tensor fewRows(const Tensor& x, const QuantisedMatrix& matrix)
{
    const auto count = x.size(0), out = matrix.rows();
    const Tensor y = at::empty({count, out}, x.options().requires_grad(false));
    const float* xp = x.const_data_ptr<float>();
    float* yp = y.data_ptr<float>();
    parallelTasks((out + kTaskRows - 1) / kTaskRows, [&](std::int64_t task) {
        const auto from = task * kTaskRows;
        matrix.fewRows(xp, count, from, std::min(kTaskRows, out - from), yp + from, out);
    });
    return y;
}

} // namespace

QuantisedPtr quantised(WeightKind kind, const Tensor& matrix, c10::Device device)
{
    const at::NoGradGuard noGrad;
    const auto values = matrix.to(at::kCPU, at::kFloat).contiguous();
    auto host = quantised(kind, values.const_data_ptr<float>(), values.size(0), values.size(1));
    if (device.is_cpu())
        return host;
    if (kind == WeightKind::Int8)
        return std::make_shared<DeviceMatrix>(static_cast<const Int8Matrix&>(*host), device);
    return std::make_shared<DeviceMatrix>(static_cast<const Nf4Matrix&>(*host), device);
}

Tensor decoded(const QuantisedMatrix& matrix)
{
    if (const auto* there = asDeviceMatrix(matrix))
        return there->values(at::kFloat);
    const Tensor values = at::empty({matrix.rows(), matrix.columns()}, at::kFloat);
    decodeInto(matrix, 0, matrix.rows(), values.data_ptr<float>());
    return values;
}

Tensor decodedRows(const QuantisedMatrix& matrix, const std::vector<std::int64_t>& ids)
{
    const Tensor values =
        at::empty({static_cast<std::int64_t>(ids.size()), matrix.columns()}, at::kFloat);
    float* to = values.data_ptr<float>();
    for (const auto id : ids) {
        TORCH_CHECK_INDEX(id >= 0 && id < matrix.rows(), "row ", id, " of ", matrix.rows());
        matrix.decode(id, 1, to);
        to += matrix.columns();
    }
    return values;
}

void product(const Tensor& x, const QuantisedMatrix& matrix, Tensor& y)
{
    if (byTiles(x))
        return tileProduct(x, matrix, y);
    overParts(matrix, [&](std::int64_t first, const Tensor& values) {
        auto to = y.narrow(1, first, values.size(0));
        at::mm_out(to, x, values.t());
    });
}

void productBack(const Tensor& dy, const QuantisedMatrix& matrix, Tensor& dx)
{
    if (byTiles(dy))
        return tileProductBack(dy, matrix, dx);
    dx.zero_();
    overParts(matrix, [&](std::int64_t first, const Tensor& values) {
        dx.addmm_(dy.narrow(1, first, values.size(0)), values);
    });
}

Tensor linear(const Tensor& x, const QuantisedPtr& matrix, const Tensor& bias)
{
    if (!at::GradMode::is_enabled() && useKernels(x)) {
        Tensor y;
        if (x.size(0) <= kFewRows) {
            y = fewRows(x.contiguous(), *matrix);
        } else {
            y = at::empty({x.size(0), matrix->rows()}, x.options());
            product(x, *matrix, y);
        }
        return bias.defined() ? y.add_(bias) : y;
    }
    const auto none = at::empty({0}, x.options().requires_grad(false));
    return LinearFunction::apply(x, bias.defined() ? bias : none,
                                 c10::make_intrusive<Held>(matrix));
}

Tensor linear(const Tensor& x, const Tensor& matrix, const Tensor& bias)
{
    if (!at::GradMode::is_enabled() && x.dim() == 2 && x.size(0) > kFewRows && useKernels(matrix) && byTiles(x)) {
        Tensor y = at::empty({x.size(0), matrix.size(0)}, x.options());
        product(x, matrix, y);
        return bias.defined() ? y.add_(bias) : y;
    }
    return bias.defined() ? at::linear(x, matrix, bias) : at::linear(x, matrix);
}

} // namespace fettle::tensor
