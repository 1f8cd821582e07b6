#include "model/site.h"

#include "tensor/quantised_ops.h"
#include "tensor/torch_pch.h"

namespace fettle::model {

using at::Tensor;

Tensor LinearSite::matrix() const
{
    if (packed)
        return tensor::decoded(*packed);
    return transposed ? weight.t() : weight;
}

void LinearSite::pack(tensor::WeightKind kind, c10::Device device)
{
    packed = tensor::quantised(kind, matrix(), device);
    weight = Tensor();
}

void LinearSite::addToWeight(const Tensor& delta)
{
    if (packed) {
        weight = transposed ? matrix().t() : matrix();
        packed.reset();
    }
    const auto wide = weight.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto change = (transposed ? delta.t() : delta).to(wide);
    weight = (weight.to(wide) + change).to(weight.scalar_type());
}

Tensor LinearSite::base(const Tensor& x) const
{
    if (packed)
        return tensor::linear(x, packed, bias);
    return tensor::linear(x, matrix(), bias);
}

Tensor LinearSite::forward(const Tensor& x, const PassContext& pass) const
{
    return term && termEnabled ? term->forward(*this, x, pass) : base(x);
}

} // namespace fettle::model
