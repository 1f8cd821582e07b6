#include "tensor/recompute.h"

#include "tensor/torch_pch.h"

#include <torch/csrc/autograd/functions/utils.h>

namespace fettle::tensor {

using at::Tensor;
using torch::autograd::variable_list;

namespace {

class Again final : public torch::autograd::Node
{
public:
    Again(std::function<Tensor(const Tensor&)> work, const Tensor& x)
        : Node(torch::autograd::collect_next_edges(x)), m_work(std::move(work)), m_input(x, /*is_output=*/false)
    {
    }

    variable_list apply(variable_list&& grads) override
    {
        if (!grads[0].defined())
            return {Tensor()};
        const at::AutoGradMode on(true);
        const auto x = m_input.unpack().detach().requires_grad_(task_should_compute_output(0));
        const auto out = m_work(x);
        if (out.requires_grad()) // nothing below trains otherwise
            torch::autograd::backward({out}, {grads[0]});
        return {x.grad()};
    }

    void release_variables() override
    {
        m_work = nullptr;
        m_input.reset_data();
    }

private:
    std::function<Tensor(const Tensor&)> m_work;
    torch::autograd::SavedVariable m_input;
};

} // namespace

Tensor recomputed(std::function<Tensor(const Tensor&)> work, const Tensor& x)
{
    if (!at::GradMode::is_enabled())
        return work(x);
    Tensor out;
    {
        const at::NoGradGuard noGrad;
        out = work(x);
    }
    torch::autograd::set_history(out, std::shared_ptr<torch::autograd::Node>(new Again(std::move(work), x),
                                                                              torch::autograd::deleteNode));
    return out;
}

} // namespace fettle::tensor
