#include "model/site.h"

#include "tensor/torch_pch.h"

namespace fettle::model {

using at::Tensor;

void LinearSite::addToWeight(const Tensor& delta)
{
    const auto wide = weight.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
    const auto change = (transposed ? delta.t() : delta).to(wide);
    weight = (weight.to(wide) + change).to(weight.scalar_type());
}

Tensor LinearSite::base(const Tensor& x) const
{
    return bias.defined() ? at::linear(x, matrix(), bias) : at::linear(x, matrix());
}

Tensor LinearSite::forward(const Tensor& x, const PassContext& pass) const
{
    return term && termEnabled ? term->forward(*this, x, pass) : base(x);
}

} // namespace fettle::model
